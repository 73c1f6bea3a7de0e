"""Where servers are: addresses, names that move, proxies, the environment."""

import socket
from collections.abc import Iterator
from typing import Any

import gazecrop
import pytest
from gazecrop._addresses import parse_targets
from gazecrop._servers import Servers, _numbers

from server import embedded
from tests.conftest import free_address


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("localhost:8001", "localhost", 8001),
        (" triton.example:1 ", "triton.example", 1),
        ("[::1]:8001", "::1", 8001),
        ("dns:///triton:8001", "triton", 8001),
        ("dns://9.9.9.9/triton:8001", "triton", 8001),
        ("dns:8001", "dns", 8001),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", "10.0.0.1", 1),
        ("unix:/run/triton.sock", "", 0),
    ],
)
def test_addresses_are_understood(address: str, host: str, port: int) -> None:
    (target,) = parse_targets(address)
    assert (target.name, target.host, target.port) == (address.strip(), host, port)


WRONG: list[Any] = [
    "", "localhost", "http://localhost:8001", "grpc://a:1", "::1:8001", "a:0", "a:65536", "a:b",
    "a b:1", "dns:///a", "a:1,b:2", [], [""], ["a:1", "b"], ["unix:/a", "b:1"], 8001, [8001],
]  # fmt: skip


@pytest.mark.parametrize("address", WRONG)
def test_what_is_no_address_is_refused(address: Any) -> None:
    with pytest.raises(gazecrop.InvalidArgument):
        gazecrop.Client(address)


def test_the_environment_names_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAZECROP_SERVER", raising=False)
    assert gazecrop.Client().address == "localhost:8001"
    monkeypatch.setenv("GAZECROP_SERVER", "a:1, [::1]:2")
    assert gazecrop.Client().address == "a:1, [::1]:2"
    assert gazecrop.AsyncClient("b:3").address == "b:3"


@pytest.mark.parametrize("address", ["nowhere.invalid:1", ["nowhere.invalid:1", "none.invalid:2"]])
def test_a_name_that_does_not_resolve_is_a_server_that_does_not_answer(address: Any) -> None:
    with (
        gazecrop.Client(address, timeout=20) as client,
        pytest.raises(gazecrop.ServerUnreachable, match="nowhere"),
    ):
        client.predict(b"photo")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """Names and their addresses, to be changed."""
    known: dict[str, list[str]] = {}

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror("unknown")
        return [(None, None, None, "", (number, port)) for number in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("gazecrop._servers.RESOLVE_AFTER_FAILURE", 0.0)
    return known


def test_a_list_follows_its_names(
    names: dict[str, list[str]], address: embedded.Address, photo: Any
) -> None:
    """Of both families, and one of them unknown."""
    names.update({"first": ["127.0.0.2", "::1"], "second": ["127.0.0.3"]})
    servers = [f"{name}:{address.grpc}" for name in ("first", "second", "third")]
    with gazecrop.Client(servers, timeout=20) as client:
        with pytest.raises(gazecrop.ServerUnreachable):
            client.predict(photo)
        names["second"] = ["127.0.0.1"]
        assert client.predict(photo).size == (600, 400)


def test_addresses_of_both_families_have_one_name() -> None:
    first, second = parse_targets(["a:1", "b:2"])
    assert _numbers({first: ["10.0.0.1"], second: ["10.0.0.2"]}) == "ipv4:10.0.0.1:1,10.0.0.2:2"
    assert _numbers({first: ["10.0.0.1"], second: ["::1"]}) == "ipv6:[::ffff:10.0.0.1]:1,[::1]:2"


@pytest.mark.parametrize(
    ("address", "no_proxy", "through"),
    [
        ("triton.example:1", "", True),
        ("triton.example:1", "example", False),
        ("10.1.2.3:1", "10.0.0.0/8", False),
        ("10.1.2.3:1", "192.168.0.0/16,other", True),
        ("localhost:1", "", False),
        ("LOCALHOST.:1", "", False),
        ("127.9.9.9:1", "", False),
        ("[::1]:1", "", False),
        ("[::ffff:127.0.0.1]:1", "", False),
        ("dns:///localhost:1", "", False),
        ("ipv4:127.0.0.1:1", "", False),
        ("unix:/run/triton.sock", "", False),
    ],
)
def test_proxies(
    monkeypatch: pytest.MonkeyPatch, address: str, no_proxy: str, through: bool
) -> None:
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    monkeypatch.setenv("no_proxy", no_proxy)
    monkeypatch.setenv("grpc_proxy", "http://user:secret@proxy:3128")
    proxy = Servers(parse_targets(address), None, 1).proxy
    assert proxy == ("proxy:3128 that grpc_proxy names" if through else None)


def test_an_error_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("no_proxy", "no_grpc_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{free_address().grpc}")
    with (
        gazecrop.Client("triton.example:8001", timeout=20) as client,
        pytest.raises(gazecrop.ServerUnreachable, match=r"proxy 127.*http_proxy names") as raised,
    ):
        client.predict(b"photo")
    assert "secret" not in str(raised.value)
