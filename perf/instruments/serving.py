"""Servers that exist for one measurement."""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from gazecrop import Client

from server import embedded
from server.embedded import ServerError

__all__ = ["Server", "ServerError", "free_address", "serve"]

SECONDS = 60  # for an answer


@dataclass(frozen=True)
class Server:
    """A running Triton.

    Attributes:
        grpc: its "host:port".
        process: its process id.
        started: when it was asked to start, by `time.perf_counter`.
    """

    grpc: str
    process: int
    started: float

    def seconds_to_answer(self, upload: bytes) -> float:
        """From the start to the answer to this upload."""
        with Client(self.grpc, timeout=SECONDS) as client:
            client.predict(upload)
        return time.perf_counter() - self.started

    def private_bytes(self) -> int:
        """The memory that the server's process and all that it started share with no other."""
        process = psutil.Process(self.process)
        return sum(
            member.memory_full_info().uss for member in (process, *process.children(recursive=True))
        )


@contextmanager
def serve(repository: Path | None = None, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server on ports of its own, until the block ends; by default of the shipped models.

    `options` are more of tritonserver's own.

    Raises:
        ServerError: it does not start; the message ends with its log.
    """
    started = time.perf_counter()
    address = free_address()
    with tempfile.TemporaryFile("w+") as log:
        try:
            with embedded.run(address, repository, log, options) as process:
                yield Server(f"{address.host}:{address.grpc}", process.pid, started)
        except ServerError as error:
            log.seek(0)
            raise ServerError(f"{error}\n{log.read()}") from error


def free_address() -> embedded.Address:
    with socket.socket() as http, socket.socket() as grpc, socket.socket() as metrics:
        ports = []
        for probe in (http, grpc, metrics):
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return embedded.Address("127.0.0.1", *ports)
