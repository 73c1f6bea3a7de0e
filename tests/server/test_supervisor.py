"""`python -m server` as an operator meets it: killed, stopped, probed, behind a proxy."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gazecrop
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from server import embedded, health, leftovers, supervisor
from tests.conftest import LOGS, free_address
from tests.server.test_embedded import environment, runs, session

ROOT = Path(__file__).parents[2]
PHOTO = (ROOT / "docs" / "photo.jpg").read_bytes()
BACK_SECONDS = 40  # on a busy machine


@contextlib.contextmanager
def server(folder: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A process of `python -m server` that serves, with its ports of HTTP and gRPC."""
    address = free_address()
    log = folder / "server.log"
    LOGS.append(log)
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=ROOT,
            env={**environment(address), "CORES": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert "gazecrop serves" in process.stdout.readline(), log.read_text()
        yield process, address.http, address.grpc
    finally:
        process.kill()
        process.wait()


def infer(port: int, upload: bytes) -> str:
    """How a prediction ended that nobody tries again."""
    image = triton.InferInput("IMAGE", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[upload]], np.object_))
    try:
        with triton.InferenceServerClient(
            f"127.0.0.1:{port}", channel_args=[("grpc.enable_retries", 0)]
        ) as client:
            client.infer("saliency", [image], client_timeout=20)
    except InferenceServerException as error:
        return f"{error.status()} {error.message()}"
    return "answered"


def is_back(port: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    with gazecrop.Client(f"127.0.0.1:{port}", timeout=2) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(gazecrop.GazecropError):
                if client.ping().ready:
                    return True
    return False


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


def test_whatever_dies_is_replaced(tmp_path: Path) -> None:
    with server(tmp_path) as (process, http, grpc):
        members = [each for each in session_of(http) if "python_backend_stub" in command_line(each)]
        for model in ("preprocess", "student"):  # one of two, and the only one
            os.kill(next(each for each in living(http) if f"{model}-1_0" in command_line(each)), 9)
            deadline = time.monotonic() + BACK_SECONDS
            outcomes: set[str] = set()
            while outcomes != {"answered"} or len(living(http)) != len(members):
                assert time.monotonic() < deadline, outcomes
                outcomes = {infer(grpc, PHOTO) for _ in range(20)}

        (leader,) = [each for each in session_of(http) if "--http-port" in command_line(each)]
        os.kill(next(each for each in living(http) if "preprocess" in command_line(each)), 9)
        time.sleep(0.4)  # until Triton is told to replace it, which it will not end
        os.kill(leader, signal.SIGKILL)
        assert is_back(grpc, supervisor.STOP_SECONDS)  # for which that would be waited

        members = session_of(http)
        os.kill(living(http)[0], signal.SIGSTOP)  # as one that never learns of the others' end
        process.send_signal(signal.SIGKILL)  # nobody is left to clean up
        process.wait()
    deadline = time.monotonic() + 10
    while any(map(runs, members)):
        assert time.monotonic() < deadline, [command_line(each) for each in members if runs(each)]
        time.sleep(0.1)
    orphans = {path.stem for path in leftovers.SHARED_MEMORY.glob("gazecrop-*.lock")}
    with leftovers.claim():
        pass
    for name in orphans:
        if not (leftovers.SHARED_MEMORY / f"{name}.lock").exists():
            assert not list(leftovers.SHARED_MEMORY.glob(f"{name}*"))


@pytest.mark.parametrize("victim", ["preprocess-1_0", "--http-port"])
def test_what_a_signal_stops_is_replaced_within_seconds(victim: str, tmp_path: Path) -> None:
    with server(tmp_path) as (_, http, grpc):
        process = next(each for each in session_of(http) if victim in command_line(each))
        os.kill(process, signal.SIGSTOP)
        stopped = time.monotonic()
        while runs(process):
            assert time.monotonic() < stopped + 10
            time.sleep(0.1)
        assert is_back(grpc, BACK_SECONDS)


def session_of(http: int) -> list[int]:
    return session(embedded.Address(http=http))


def living(http: int) -> list[int]:
    return [
        each
        for each in session_of(http)
        if runs(each) and "python_backend_stub" in command_line(each)
    ]


def test_a_stop_answers_what_has_begun_and_refuses_the_rest(tmp_path: Path) -> None:
    with server(tmp_path) as (process, _, grpc):
        outcomes: Counter[str] = Counter()

        def load() -> None:
            while process.poll() is None:
                outcomes[infer(grpc, PHOTO).partition(" ")[0]] += 1

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        process.terminate()
        assert process.wait(60) == 0
        for thread in threads:
            thread.join()
    assert set(outcomes) == {"answered", "StatusCode.UNAVAILABLE"}, outcomes


def test_what_clients_need_not_is_closed_and_uploads_without_room_are_refused(
    tmp_path: Path,
) -> None:
    with server(tmp_path) as (_, http, grpc):
        for method, path in (
            ("GET", "systemsharedmemory/status"),
            ("POST", "repository/index"),
            ("GET", "trace/setting"),
            ("GET", "logging"),
            ("GET", "models/saliency/config"),
        ):
            assert health.ask("127.0.0.1", http, method, path)[0] == 403
        with triton.InferenceServerClient(f"127.0.0.1:{grpc}") as client:
            assert client.get_model_metadata("saliency").name == "saliency"
            for call in (
                client.get_model_repository_index,
                client.get_system_shared_memory_status,
                lambda: client.get_model_config("saliency"),
            ):
                with pytest.raises(InferenceServerException, match="restricted"):
                    call()
        large = infer(grpc, bytes(20 * 2**20 + 1))
        assert large.startswith("StatusCode.INVALID_ARGUMENT")
        assert "at most 20,971,520 are accepted" in large
        length = 400 * 2**20  # for HTTP has no bound of its own
        body, headers = health.request(length.to_bytes(4, "little") + bytes(length))
        status, answer = health.ask("127.0.0.1", http, "POST", health.INFER, body, headers, 60)
        assert status == health.UNAVAILABLE
        assert b"shared memory pool" in answer
        assert b"gazecrop-" not in answer
        assert infer(grpc, PHOTO) == "answered"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("BIND_ADDRESS", "localhost"), ("BIND_ADDRESS", "::1"), ("http_proxy", "http://127.0.0.1:9")],
)
def test_listens_on_names_and_ipv6_and_past_proxies(
    variable: str, value: str, tmp_path: Path
) -> None:
    host = "[::1]" if value == "::1" else "localhost"
    with (
        server(tmp_path, **{variable: value}) as (_, _, grpc),
        gazecrop.Client(f"{host}:{grpc}", timeout=20) as client,
    ):
        assert client.ping().ready


def test_files_of_the_living_stay(tmp_path: Path) -> None:
    with leftovers.claim() as living:
        region = leftovers.SHARED_MEMORY / f"{living}-region"
        region.touch()
        leftovers.sweep(leftovers.SHARED_MEMORY)
        assert region.exists()
    assert not region.exists()
    (tmp_path / "gazecrop-0123.lock").touch()
    (tmp_path / "gazecrop-0123" / "backends").mkdir(parents=True)
    (tmp_path / "gazecrop-4567").touch()
    leftovers.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gazecrop-4567"]
