"""The front as users run it: `python -m gazecrop.web` beside the embedded Triton."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.conftest import LOGS


@pytest.fixture(scope="session")
def front(grpc: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the front answers."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("front") / "front.log"
    LOGS.append(log)
    options = ("--server", grpc, "--port", str(port), "--timeout", "20")
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gazecrop.web", *options], stdout=file, stderr=file
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process)
            yield address
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx2.get(f"{address}/health", timeout=20, trust_env=False)
            return
        except httpx2.ConnectError:
            time.sleep(0.1)
    pytest.fail("the front did not start; its log says why")
