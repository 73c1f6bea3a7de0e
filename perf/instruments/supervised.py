"""`python -m server` as its users run it: a process of its own, whose parts can be killed."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from perf.instruments.serving import ServerError, free_address

ROOT = Path(__file__).parents[2]
SHARED_MEMORY = Path("/dev/shm")
TRITON = "tritonserver"
DECODER, NETWORK, WINDOWS = "decoder", "network", "windows"
PARTS = (DECODER, NETWORK, WINDOWS, TRITON)
MODELS = {"preprocess": DECODER, "student": NETWORK, "windows": WINDOWS}
INSTANCE = re.compile(r"(\w+)-\d+_0")  # as the command line of its process has it
PREFIX = re.compile(r"shm-region-prefix-name=(\S+)")
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Resources:
    """What a server's processes hold.

    Attributes:
        processes: how many there are, by their part.
        megabytes: of memory that each shares with no other.
        shared: megabytes in /dev/shm.
        files: open file descriptors.
    """

    processes: dict[str, int]
    megabytes: float
    shared: float
    files: int
    threads: int

    def __str__(self) -> str:
        return (
            f"{sum(self.processes.values())} processes, {self.megabytes:.0f} MB and "
            f"{self.shared:.0f} in /dev/shm, {self.files} files, {self.threads} threads"
        )


@dataclass(frozen=True)
class Supervised:
    """A running `python -m server`.

    Attributes:
        grpc: its "host:port".
        log: where its standard error goes.
    """

    grpc: str
    process: psutil.Process
    log: Path

    def parts(self) -> dict[str, list[psutil.Process]]:
        """Its living processes, by what they do."""
        found: dict[str, list[psutil.Process]] = {}
        for process in self.process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if part := _part(process.cmdline()):
                    found.setdefault(part, []).append(process)
        return found

    def resources(self) -> Resources:
        """What it holds now, while none of its processes ends.

        Raises:
            psutil.NoSuchProcess: one did.
        """
        parts = self.parts()
        members = [self.process, *(process for part in parts.values() for process in part)]
        return Resources(
            processes={part: len(parts[part]) for part in sorted(parts)},
            megabytes=sum(process.memory_full_info().uss for process in members) / 1e6,
            shared=self._shared(parts[TRITON][0]) / 1e6,
            files=sum(process.num_fds() for process in members),
            threads=sum(process.num_threads() for process in members),
        )

    def _shared(self, triton: psutil.Process) -> int:
        prefix = PREFIX.search(" ".join(triton.cmdline()))
        assert prefix is not None
        total = 0
        for path in SHARED_MEMORY.glob(f"{prefix[1]}*"):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_blocks * 512
        return total


@contextlib.contextmanager
def serve(log: Path | None = None, **variables: str) -> Iterator[Supervised]:
    """A server on ports of its own, until the block ends; entered when it predicts.

    Args:
        log: where its standard error goes, if it shall outlive the server.
        variables: more of its environment.

    Raises:
        ServerError: it does not start, or not end in order; the message ends with its log.
    """
    address = free_address()
    ports = {
        "HTTP_PORT": str(address.http),
        "GRPC_PORT": str(address.grpc),
        "METRICS_PORT": str(address.metrics),
    }
    with tempfile.TemporaryDirectory(prefix="gazecrop-perf-") as folder:
        log = log or Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "server"],
                cwd=ROOT,
                env={**os.environ, **ports, **variables},
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for us
            )
        assert process.stdout is not None
        try:
            if not process.stdout.readline():  # its greeting
                raise ServerError(f"the server does not start\n{log.read_text()}")
            yield Supervised(f"{address.host}:{address.grpc}", psutil.Process(process.pid), log)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            if process.poll() != 0:
                raise ServerError(
                    f"the server did not end in order, but with {process.poll()}\n{log.read_text()}"
                )
        finally:
            process.kill()  # which takes all that it started with it
            process.wait()
            process.stdout.close()


def _part(command: list[str]) -> str | None:
    if command and Path(command[0]).name == TRITON:
        return TRITON
    for argument in command:
        if (instance := INSTANCE.fullmatch(argument)) and instance[1] in MODELS:
            return MODELS[instance[1]]
    return None
