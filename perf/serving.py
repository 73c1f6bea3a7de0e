"""Servers that exist for one measurement."""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gazecrop import Client

from server import embedded
from server.embedded import ServerError

__all__ = ["Server", "ServerError", "serve"]

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

    def resident_bytes(self) -> int:
        """The private memory of the server's process and of all that it started."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rsplit(") ")[-1].split()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(folder.name)] = int(fields[1])
        family = {self.process}
        while added := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= added
        return sum(_private_pages(pid) for pid in family) * os.sysconf("SC_PAGE_SIZE")


def _private_pages(process: int) -> int:
    resident, shared = map(int, Path(f"/proc/{process}/statm").read_text().split()[1:3])
    return resident - shared


@contextmanager
def serve(repository: Path | None = None, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server on ports of its own, until the block ends; by default of the shipped models.

    `options` are more of tritonserver's own.

    Raises:
        ServerError: it does not start; the message ends with its log.
    """
    started = time.perf_counter()
    address = _free_address()
    with tempfile.TemporaryFile("w+") as log:
        try:
            with embedded.run(address, repository, log, options) as process:
                yield Server(f"{address.host}:{address.grpc}", process.pid, started)
        except ServerError as error:
            log.seek(0)
            raise ServerError(f"{error}\n{log.read()}") from error


def _free_address() -> embedded.Address:
    with socket.socket() as http, socket.socket() as grpc, socket.socket() as metrics:
        ports = []
        for probe in (http, grpc, metrics):
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return embedded.Address("127.0.0.1", *ports)
