"""What a service meets: restarts, lost servers, slow ones, full queues, certificates."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gazecrop
import pytest
import tritonclient.grpc as triton_client
import trustme
from numpy.typing import NDArray

from server import embedded
from tests.client.servers import relay, triton, with_queue_of
from tests.conftest import encode, free_address


def grpc_of(address: embedded.Address) -> str:
    return f"{address.host}:{address.grpc}"


def test_the_client_outlives_a_killed_server(tmp_path: Path, photo: Path) -> None:
    """Killed while photos are on their way: each yields a prediction or its error, in order."""
    address = free_address()
    with gazecrop.Client(grpc_of(address), timeout=10) as client:
        with triton(address, tmp_path) as process:
            before = client.predict(photo)
            results = []
            for result in client.predict_many([photo] * 100):
                results.append(result)
                if len(results) == 50:
                    process.kill()
                    process.wait()
        assert len(results) == 100
        assert all(isinstance(result, gazecrop.Saliency) for result in results[:50])
        assert isinstance(results[-1], gazecrop.ServerUnreachable)
        with pytest.raises(gazecrop.ServerUnreachable):
            client.predict(photo)
        with triton(address, tmp_path):
            deadline = time.monotonic() + 5
            while True:
                try:
                    after = client.predict(photo)
                    break
                except gazecrop.ServerUnreachable:
                    assert time.monotonic() < deadline
    assert (after.density == before.density).all()


def test_a_call_waits_out_a_short_absence(address: embedded.Address, photo: Path) -> None:
    """The server's port opens within the retries of a single call, which began before."""
    port = free_address().grpc
    with (
        gazecrop.Client(f"127.0.0.1:{port}", timeout=60) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        call = pool.submit(client.predict, photo)
        time.sleep(0.3)
        with relay(port, address.grpc):
            assert call.result().size == (600, 400)


def test_a_frozen_server_costs_one_deadline(tmp_path: Path, photo: Path) -> None:
    address = free_address()
    with triton(address, tmp_path) as process, gazecrop.Client(grpc_of(address)) as client:
        client.predict(photo)
        os.kill(process.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(gazecrop.DeadlineExceeded, match=r"within 0\.4 s"):
            client.predict(photo, timeout=0.4)
        assert 0.4 <= time.monotonic() - started < 1
        os.kill(process.pid, signal.SIGCONT)
        assert client.predict(photo).size == (600, 400)


def test_a_full_queue_is_tried_again_and_then_an_error(tmp_path: Path, coffee: NDArray) -> None:
    address = free_address()
    upload = encode(coffee.repeat(4, 0).repeat(4, 1), "PNG", compress_level=1)  # slow to decode
    with (
        triton(address, tmp_path, model_repository=with_queue_of(1, tmp_path)),
        gazecrop.Client(grpc_of(address), timeout=20) as client,
    ):
        client.predict(upload)
        started = time.monotonic()
        results = list(client.predict_many([upload] * 40, in_flight=40))
        took = time.monotonic() - started
        kinds = Counter(type(result) for result in results)
        assert set(kinds) == {gazecrop.Saliency, gazecrop.ServerUnreachable}
        refusals = [str(r) for r in results if isinstance(r, gazecrop.ServerUnreachable)]
        assert all("maximum queue size" in refusal for refusal in refusals)
        assert kinds[gazecrop.Saliency] > 2  # more than fit without a second try
        assert took < 10
        assert isinstance(client.predict(upload), gazecrop.Saliency)


def counts(address: embedded.Address) -> int:
    with contextlib.closing(triton_client.InferenceServerClient(grpc_of(address))) as server:
        return int(server.get_inference_statistics("saliency").model_stats[0].inference_count)


@pytest.mark.parametrize(("end", "lost"), [(signal.SIGKILL, 0), (signal.SIGTERM, 20)])
def test_calls_take_turns_and_survive_the_loss_of_a_server(
    end: signal.Signals, lost: int, tmp_path: Path, photo: Path
) -> None:
    """Crashed, or stopped in order: it then answers for some seconds that it has no model, and
    the five tries of a call may all meet it."""
    first, second = free_address(), free_address()
    with triton(first, tmp_path), triton(second, tmp_path) as doomed:
        servers = [grpc_of(first), f"localhost:{second.grpc}"]
        with gazecrop.Client(servers, timeout=10) as client:
            for _ in range(10):
                client.predict(photo)
            assert counts(first) >= 4
            assert counts(second) >= 4
            results = []
            for result in client.predict_many([photo] * 200):
                results.append(result)
                if len(results) == 30:
                    doomed.send_signal(end)
        errors = [str(result) for result in results if isinstance(result, Exception)]
        assert len(errors) <= lost, errors


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> "contextlib.AbstractContextManager[tuple[str, Path]]":
    """A Triton that speaks to those who show a certificate of the authority."""
    folder = tmp_path_factory.mktemp("tls")
    server, user = authority.issue_cert("localhost"), authority.issue_cert("user@example.org")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    user.private_key_pem.write_to_path(folder / "user.key")
    user.cert_chain_pems[0].write_to_path(folder / "user.pem")
    address = free_address()
    options = (
        "--grpc-use-ssl=true",
        "--grpc-use-ssl-mutual=true",
        f"--grpc-server-cert={folder / 'server.pem'}",
        f"--grpc-server-key={folder / 'server.key'}",
        f"--grpc-root-cert={folder / 'ca.pem'}",
    )
    with triton(address, folder, options):
        yield f"localhost:{address.grpc}", folder


def test_mutual_tls(secure: tuple[str, Path], photo: Path) -> None:
    address, folder = secure
    tls = gazecrop.TLS(folder / "ca.pem", folder / "user.key", folder / "user.pem")
    with gazecrop.Client(address, tls=tls) as client:
        assert client.predict(photo).size == (600, 400)

    async def predict() -> gazecrop.Saliency:
        async with gazecrop.AsyncClient(address, tls=tls) as client:
            return await client.predict(photo)

    assert asyncio.run(predict()).size == (600, 400)


@pytest.mark.parametrize(
    "files", [None, (), ("ca.pem",)], ids=["in the clear", "unknown authority", "no certificate"]
)
def test_who_is_not_trusted_gets_no_answer(
    secure: tuple[str, Path], photo: Path, files: tuple[str, ...] | None
) -> None:
    address, folder = secure
    tls = None if files is None else gazecrop.TLS(*(folder / file for file in files))
    with (
        gazecrop.Client(address, timeout=3, tls=tls) as client,
        pytest.raises((gazecrop.ServerUnreachable, gazecrop.DeadlineExceeded)),
    ):
        client.predict(photo)


def test_settings_are_checked_before_anything_is_sent(tmp_path: Path) -> None:
    for settings, message in (
        ({"timeout": 0}, "a timeout is"),
        ({"timeout": float("nan")}, "a timeout is"),
        ({"address": []}, "needs an address"),
        ({"address": ["localhost", "localhost:1"]}, "'localhost' is no host:port"),
        ({"metadata": {"Authorization": "x"}}, "lower-case"),
        ({"metadata": {"authorization": "x…"}}, "plain ASCII"),
        ({"tls": gazecrop.TLS(tmp_path / "none.pem")}, "cannot read .*none.pem"),
        ({"tls": gazecrop.TLS(private_key=tmp_path)}, "both a private key and"),
    ):
        with pytest.raises(gazecrop.InvalidArgument, match=message):
            gazecrop.Client(**settings)  # type: ignore[arg-type]


def test_a_closed_client_says_so(grpc: str, photo: Path) -> None:
    client = gazecrop.Client(grpc)
    client.close()
    with pytest.raises(gazecrop.InvalidArgument, match="closed"):
        client.predict(photo)


def test_metadata_reaches_the_server(tmp_path: Path, photo: Path) -> None:
    """A Triton that asks for a password in a header."""
    address = free_address()
    options = ("--grpc-restricted-protocol=inference:token=secret",)
    with triton(address, tmp_path, options), gazecrop.Client(grpc_of(address)) as client:
        with pytest.raises(gazecrop.ServerUnreachable, match="token"):
            client.predict(photo)
        header = {"triton-grpc-protocol-token": "secret"}
        assert client.predict(photo, metadata=header).size == (600, 400)
        with gazecrop.Client(grpc_of(address), metadata=header) as trusted:
            assert trusted.predict(photo).size == (600, 400)
