import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server import embedded
from tests.conftest import free_address, serving

ROOT = Path(__file__).parents[2]


def environment(address: embedded.Address) -> dict[str, str]:
    return {
        **os.environ,
        "HTTP_PORT": str(address.http),
        "GRPC_PORT": str(address.grpc),
        "METRICS_PORT": str(address.metrics),
    }


def session(address: embedded.Address) -> list[int]:
    """The processes of the session that the tritonserver at this address leads."""
    leader, sessions = None, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"--http-port={address.http}" in (folder / "cmdline").read_text():
                leader = int(folder.name)
            sessions[int(folder.name)] = int(
                (folder / "stat").read_text().rsplit(") ")[1].split()[3]
            )
        except OSError:
            continue  # it has ended meanwhile
    return [process for process, its_leader in sessions.items() if its_leader == leader]


def runs(process: int) -> bool:
    """Whether there is such a process, and more of it than its exit status."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_interrupted_and_leaves_nothing(number: signal.Signals) -> None:
    address, before = free_address(), litter()
    process = subprocess.Popen(
        [sys.executable, "-m", "server"],
        cwd=ROOT,
        env={**environment(address), "CORES": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert f"{address.grpc} gRPC" in process.stdout.readline()
    assert address.is_ready()
    members = session(address)
    assert len(members) == 1 + 4 + 3 + 2  # tritonserver; preprocess, student, windows
    process.send_signal(number)
    assert process.wait(40) == 0
    assert not [member for member in members if runs(member)]
    assert litter() <= before


def litter() -> set[Path]:
    """What servers, and Triton by itself, may leave behind."""
    places = (Path("/tmp"), Path("/dev/shm"))
    names = ("gazecrop-*", "python_env_*", "triton_python_*")
    return {path for place in places for name in names for path in place.glob(name)}


def test_a_taken_port_is_named() -> None:
    address = free_address()
    with (
        socket.create_server(("127.0.0.1", address.grpc)),
        pytest.raises(embedded.ServerError, match=rf"127\.0\.0\.1:{address.grpc}.*GRPC_PORT"),
        embedded.run(address),
    ):
        pass


@pytest.mark.parametrize("variable", ["CORES", "GRPC_PORT"])
def test_what_is_no_number_is_named(variable: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server"],
        cwd=ROOT,
        env={**environment(free_address()), variable: "two"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {variable} is a whole number above 0, not 'two'\n"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded.PACKAGES, "no_such_module", "no-such-package")
    with (
        pytest.raises(embedded.ServerError, match=r"no-such-package.*pip install"),
        embedded.run(free_address()),
    ):
        pass


def test_a_model_that_does_not_load_stops_the_start(tmp_path: Path) -> None:
    model = tmp_path / "repository" / "broken"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text('backend: "onnxruntime" max_batch_size: 1')
    started = time.monotonic()
    with (
        pytest.raises(embedded.ServerError, match="before it was ready"),
        serving(tmp_path, model_repository=model.parent),
    ):
        pass
    assert time.monotonic() - started < 20
    assert "model.onnx" in (tmp_path / "triton.log").read_text()


def test_serves_while_a_command_runs_and_passes_its_status_on() -> None:
    address = free_address()
    url = f"http://127.0.0.1:{address.http}/v2/models/saliency/ready"
    code = f"import sys, urllib.request as r; sys.exit(r.urlopen({url!r}).status - 193)"
    done = subprocess.run(
        [sys.executable, "-m", "server", "--", sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(address),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 7
    assert not address.is_ready()


def test_uses_a_server_that_answers(address: embedded.Address) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "--", "true"],
        cwd=ROOT,
        env=environment(address),
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    assert not done.stderr
    assert address.is_ready()


def test_listens_on_loopback_alone(address: embedded.Address) -> None:
    listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True)
    hosts = {
        fields[1].split(":")[0]
        for fields in map(str.split, listening.stdout.splitlines()[1:])
        if int(fields[1].split(":")[1], 16) in (address.http, address.grpc, address.metrics)
        and fields[3] == "0A"
    }
    assert hosts == {"0100007F"}
