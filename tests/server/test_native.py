"""The start in NVIDIA's container, here with the embedded tritonserver in its place."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gazecrop
import pytest

from server import embedded, instances, leftovers, native
from tests.conftest import free_address

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tritonserver(tmp_path: Path) -> Path:
    """A folder for PATH whose `tritonserver` finds its backends, as that of the container does."""
    backends = embedded._assemble_backends(tmp_path)
    binary = embedded._triton() / "bin" / "tritonserver"
    caches = embedded._triton() / "caches"
    environment = embedded._environment()
    script = tmp_path / "bin" / "tritonserver"
    script.parent.mkdir()
    script.write_text(
        f"#!/bin/sh\nexport LD_LIBRARY_PATH='{environment['LD_LIBRARY_PATH']}'\n"
        f"exec '{binary}' --backend-directory='{backends}' --cache-directory='{caches}' \"$@\"\n"
    )
    script.chmod(0o755)
    return script.parent


@contextlib.contextmanager
def started(
    tritonserver: Path, folder: Path, *options: str
) -> Iterator[tuple[embedded.Address, subprocess.Popen[bytes]]]:
    address = free_address()
    ports = (f"--{name}-port={getattr(address, name)}" for name in ("http", "grpc", "metrics"))
    path = os.pathsep.join([str(tritonserver), str(Path(sys.executable).parent), "/usr/bin:/bin"])
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server.native", *ports, *options],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "CORES": "1", "TMPDIR": str(folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + embedded.READY_SECONDS
            while not address.is_ready():
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield address, process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_it_predicts_and_closes_the_rest(tritonserver: Path, tmp_path: Path) -> None:
    with started(tritonserver, tmp_path, "--allow-gpu-metrics=false") as (address, process):
        with gazecrop.Client(f"127.0.0.1:{address.grpc}", timeout=20) as client:
            assert client.predict(ROOT / "docs" / "photo.jpg").density.sum() == pytest.approx(1)
            with pytest.raises(gazecrop.ImageRejected):
                client.predict(b"no photo")
        said = (tmp_path / "log").read_text("utf-8")
        assert re.search(r"\[request id: [0-9a-f]{32}\] read: not an image", said)
        for path in ("systemsharedmemory/status", "logging", "models/student/config"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{address.http}/v2/{path}", timeout=5)
            assert refused.value.code == 403
        process.send_signal(signal.SIGTERM)  # which reaches tritonserver itself
        assert process.wait(60) == 0


def test_the_next_start_removes_what_a_killed_one_left(tritonserver: Path, tmp_path: Path) -> None:
    with started(tritonserver, tmp_path) as (_, process):
        command = Path(f"/proc/{process.pid}/cmdline").read_text()
        [name] = re.findall(r"shm-region-prefix-name=(gazecrop-\w+)-", command)
        largest = instances.suited_to(1).largest_region()
        assert resource.prlimit(process.pid, resource.RLIMIT_FSIZE) == (largest, largest)
    left = {place: list(place.glob(f"{name}*")) for place in (leftovers.SHARED_MEMORY, tmp_path)}
    assert len(left[leftovers.SHARED_MEMORY]) > 1  # its lock, and regions
    assert tmp_path / name in left[tmp_path]
    with started(tritonserver, tmp_path):
        assert not [path for paths in left.values() for path in paths if path.exists()]


def test_own_restrictions_take_the_place_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = "--http-restricted-api=health:admin=secret"
    arguments = native.command([own], "gazecrop-test", instances.suited_to(1))
    restricted = [each for each in arguments if each.startswith("--http-restricted-api")]
    assert restricted == [own]
    assert any(each.startswith("--grpc-restricted-protocol") for each in arguments)
