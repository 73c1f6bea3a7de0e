"""The liveness probe, against real servers: whole, with a dead decoder, busy, and gone."""

import os
import signal
import threading
from pathlib import Path

import gazecrop
import psutil

from server import alive, embedded
from tests.conftest import free_address
from tests.server.test_native import started, tritonserver

PHOTOS = 4
__all__ = ["tritonserver"]  # a fixture


def verdict(address: embedded.Address) -> str | None:
    live = f"http://{address.host}:{address.http}/v2/health/live"
    return alive.broken(f"{address.host}:{address.grpc}", live, PHOTOS)


def test_nobody_there() -> None:
    assert verdict(free_address()) is not None


def test_whole_and_busy_servers_are_alive_those_with_dead_decoders_not(
    tritonserver: Path, tmp_path: Path
) -> None:
    with started(tritonserver, tmp_path) as (address, process):
        assert verdict(address) is None
        with gazecrop.Client(f"{address.host}:{address.grpc}", timeout=20) as client:
            flood = threading.Thread(
                target=lambda: list(client.predict_many([alive.PHOTO] * 600, in_flight=200))
            )
            flood.start()
            assert verdict(address) is None
            flood.join()
        [decoder, *_] = [
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "preprocess-1_0" in " ".join(each.cmdline())
        ]
        os.kill(decoder.pid, signal.SIGKILL)
        assert "not healthy" in str(verdict(address))
