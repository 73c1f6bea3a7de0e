"""Photos from scikit-image and one embedded Triton for all end-to-end tests."""

import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

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
    address = free_address()
    log = tmp_path_factory.mktemp("triton") / "log"
    with log.open("w") as file, embedded.run(address, log=file):
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
