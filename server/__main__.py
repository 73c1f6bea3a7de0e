"""Run the embedded Triton.

    python -m server [--OPTION=VALUE …]    serve until interrupted; with tritonserver's options
    python -m server -- COMMAND [ARG …]    serve while COMMAND runs; use a server that answers

Ports come from HTTP_PORT, GRPC_PORT and METRICS_PORT (8000, 8001, 8002). BIND_ADDRESS (127.0.0.1)
says where to listen; Triton asks nobody who they are, so open it to a network that you trust, as
a container's. CORES says how many cores to suit, where they are fewer than the host's.
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import FrameType
from typing import IO, TYPE_CHECKING

from server.embedded import Address, ServerError, check_packages, prepare

if TYPE_CHECKING:
    from server.supervisor import Supervisor

STOPS = (signal.SIGINT, signal.SIGTERM)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _number(name: str) -> int | None:
    """A whole number above 0 from the environment."""
    text = os.environ.get(name)
    if not text:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ServerError(f"{name} is a whole number above 0, not {text!r}")
    return int(text)


def _address() -> Address:
    http, grpc, metrics = (
        _number(f"{name}_PORT") or default
        for name, default in (("HTTP", 8000), ("GRPC", 8001), ("METRICS", 8002))
    )
    host = os.environ.get("BIND_ADDRESS") or Address.host
    return Address(host=host, http=http, grpc=grpc, metrics=metrics)


@contextlib.contextmanager
def supervisor(
    address: Address, log: IO[str] | None = None, options: tuple[str, ...] = ()
) -> Iterator["Supervisor"]:
    check_packages()
    from server.supervisor import Supervisor, required  # which need them

    secret = secrets.token_urlsafe(24)
    options = (*options, *required(secret, options))
    with prepare(address, log=log, options=options, cores=_number("CORES")) as triton:
        yield Supervisor(triton, secret)


def serve(address: Address, options: tuple[str, ...] = ()) -> int:
    """Serve until a signal comes; a second one ends at once."""
    with supervisor(address, options=options) as supervised:
        for number in STOPS:
            signal.signal(number, lambda *_: supervised.stop())
        supervised.serve(
            f"gazecrop serves on {address.host}: {address.http} HTTP, {address.grpc} gRPC, "
            f"{address.metrics} metrics. Ctrl-C stops it."
        )
    return 0


def serve_while(command: list[str], address: Address) -> int:
    if address.serves_saliency():
        return subprocess.call(command)
    with tempfile.TemporaryFile("w+") as log:
        try:
            with supervisor(address, log) as supervised, supervised.in_background():
                return subprocess.call(command)
        except ServerError:
            log.seek(0)
            sys.stderr.write(log.read())
            raise


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m server", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", nargs="*", help="serve only while this command runs")
    args, options = parser.parse_known_args()
    if args.command and options:
        parser.error(f"options go with serving alone: {' '.join(options)}")
    for number in STOPS:  # also where a shell made us ignore Ctrl-C
        signal.signal(number, _interrupt)
    try:
        address = _address()
        if args.command:
            return serve_while(args.command, address)
        return serve(address, tuple(options))
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
