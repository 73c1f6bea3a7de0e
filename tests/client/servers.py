"""Tritons of their own for tests that stop, freeze or fill them."""

import contextlib
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from server import embedded
from server.instances import Instances, with_instances
from tests.conftest import LOGS


@contextlib.contextmanager
def triton(
    address: embedded.Address,
    folder: Path,
    options: tuple[str, ...] = (),
    model_repository: Path = embedded.MODEL_REPOSITORY,
) -> Iterator[subprocess.Popen[bytes]]:
    """A Triton that is killed at the end, or may be before: nobody waits for it."""
    LOGS.append(folder / "triton.log")
    with (
        (folder / "triton.log").open("a") as log,
        embedded.run(address, model_repository, log, options) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
            process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def relay(port: int, to: int) -> Iterator[None]:
    """Connections to a port go on to another, as if its server listened at both."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", to)) as server:
                back = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
                back.start()
                _copy(self.request, server)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Relay) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            listener.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one of the two has hung up
        while data := source.recv(2**16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def with_queue_of(size: int, folder: Path) -> Path:
    """A copy of the model repository that decodes one photo at a time and lets so many wait."""
    instances = Instances(preprocess=1, student=1, windows=1, queue=size, photos=1)
    return with_instances(embedded.MODEL_REPOSITORY, folder, instances)
