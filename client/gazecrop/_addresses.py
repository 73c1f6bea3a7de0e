"""Where servers are: addresses as gRPC takes them, and the proxies on the way."""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gazecrop._errors import InvalidArgument

Address: TypeAlias = str | Sequence[str]

VARIABLE = "GAZECROP_SERVER"
DEFAULT = "localhost:8001"
RESOLVED = ("dns", "ipv4", "ipv6")  # schemes of gRPC: dns:///host:port, ipv4:1.2.3.4:5,1.2.3.5:5
UNPROXIED = ("unix", "unix-abstract", "vsock", "xds")
HOST_AND_PORT = re.compile(r"(\[[^\]\s]+\]|[^\[\]:/,\s]+):(\d{1,5})")
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # in gRPC's order; it reads no others
EXCEPTIONS = ("no_grpc_proxy", "no_proxy")


@dataclass(frozen=True)
class Target:
    """A server, or all those that one name has.

    Attributes:
        name: as gRPC takes it.
        host, port: the first that the name holds; the host is empty for a socket without network.
    """

    name: str
    host: str
    port: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether this names the same machine, which no proxy can reach."""
        host = self.host.rstrip(".").lower()
        if host in ("", "localhost") or host.endswith(".localhost"):
            return True
        try:
            number = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        number = getattr(number, "ipv4_mapped", None) or number
        return number.is_loopback or number.is_unspecified

    @property
    def proxy(self) -> str | None:
        """The proxy that gRPC goes through, without its password, and what names it."""
        if self.is_loopback or self._is_exception():
            return None
        for variable in PROXIES:
            if url := os.environ.get(variable):
                return f"{url.rpartition('@')[2]} that {variable} names"
        return None

    def _is_exception(self) -> bool:
        exceptions = next(filter(None, map(os.environ.get, EXCEPTIONS)), "")
        return any(
            self.host.lower().endswith(exception.lower()) or _holds(exception, self.host)
            for exception in map(str.strip, exceptions.split(","))
            if exception
        )


def parse_targets(address: Address | None) -> list[Target]:
    """The servers to connect to; by default those that GAZECROP_SERVER names, split at commas.

    Raises:
        InvalidArgument: an address is none, or there is none.
    """
    if address is None:
        address = (os.environ.get(VARIABLE) or DEFAULT).split(",")
    try:
        addresses = [address] if isinstance(address, str) else list(address)
    except TypeError:
        addresses = [address]  # type: ignore[list-item]
    if not addresses:
        raise InvalidArgument("a client needs an address")
    targets = [_target(each) for each in addresses]
    if len(targets) > 1 and any(not target.host or "," in target.name for target in targets):
        raise InvalidArgument(f"of several servers, each is one host:port, not {addresses!r}")
    return targets


def _target(address: str) -> Target:
    if not isinstance(address, str):
        raise InvalidArgument(f"an address is 'host:port', not {address!r}")
    address = address.strip()
    scheme, _, rest = address.partition(":")
    if scheme in UNPROXIED and not rest.isdecimal():
        return Target(address, "")
    if "://" in address and scheme not in RESOLVED:
        raise InvalidArgument(f"{address!r} is a URL; give host:port, of Triton's gRPC endpoint")
    numbered = address if scheme not in RESOLVED or rest.isdecimal() else rest.rpartition("/")[2]
    matches = [HOST_AND_PORT.fullmatch(each) for each in numbered.split(",")]
    found = [
        Target(address, match[1].strip("[]"), int(match[2]))
        for match in matches
        if match and 0 < int(match[2]) < 2**16
    ]
    if len(found) < len(matches) or (len(found) > 1 and not scheme.startswith("ipv")):
        raise InvalidArgument(f"{address!r} is no host:port, as 'localhost:8001' or '[::1]:8001'")
    return found[0]


def _holds(network: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
