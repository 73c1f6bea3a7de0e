"""Photos from scikit-image, one embedded Triton for all end-to-end tests, and what a failure says.

The log of every server that `serving` starts is kept in a file; where a test fails, the report
shows the end of each that was written to meanwhile. What failed, and why, comes last.
"""

import contextlib
import io
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import gazecrop
import hypothesis
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from server import embedded

# How long an example takes on a busy machine is no promise of ours.
hypothesis.settings.register_profile("gazecrop", deadline=None)
hypothesis.settings.load_profile("gazecrop")

LOGS: list[Path] = []  # of the servers that were started
LOG_LINES, REASON_LINES = 20, 6


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for log in LOGS:
            if log.stat().st_mtime >= call.start:
                end = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
                report.sections.append((f"end of the server's log {log}", "\n".join(end)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    failed = [*terminalreporter.getreports("error"), *terminalreporter.getreports("failed")]
    if failed:
        terminalreporter.section("what failed, and why")
    for report in failed:
        terminalreporter.write_line(report.nodeid, red=True)
        crash = getattr(report.longrepr, "reprcrash", None)
        place = f"{crash.path}:{crash.lineno}: {crash.message}" if crash else report.longreprtext
        for line in place.splitlines()[:REASON_LINES]:
            terminalreporter.write_line(f"    {line}")


@contextlib.contextmanager
def serving(folder: Path, **options: Any) -> Iterator[embedded.Address]:
    """An embedded Triton on free ports, its log in `folder`; options as those of `embedded.run`."""
    address, log = free_address(), folder / "triton.log"
    LOGS.append(log)
    with log.open("w") as file, embedded.run(address, log=file, **options):
        yield address


def encode(
    pixels: NDArray[np.uint8] | Image.Image, format: str = "JPEG", **options: object
) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def free_address() -> embedded.Address:
    probes = [socket.socket() for _ in range(3)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return embedded.Address(http=ports[0], grpc=ports[1], metrics=ports[2])


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def coffee() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.coffee())


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Address]:
    """Where an embedded Triton answers."""
    with serving(tmp_path_factory.mktemp("triton")) as address:
        yield address


@pytest.fixture(scope="session")
def grpc(address: embedded.Address) -> str:
    return f"{address.host}:{address.grpc}"


@pytest.fixture(scope="session")
def client(grpc: str) -> Iterator[gazecrop.Client]:
    with gazecrop.Client(grpc, timeout=20) as client:
        yield client


@pytest.fixture
def photo(tmp_path: Path, coffee: NDArray[np.uint8]) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(encode(coffee, quality=95))
    return path


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    accepted.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        for connection in accepted:
            connection.close()
