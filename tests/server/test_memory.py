"""What a flooded server takes is within the rule by which pods get their memory."""

import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gazecrop
import grpc
import psutil
import pytest
from PIL import Image
from tritonclient.grpc.service_pb2 import ModelInferRequest

from server import embedded, leftovers
from server.instances import PHOTOS, REQUEST, UPLOAD, suited_to
from tests.conftest import LOGS, encode, free_address

CORES = 1
SECONDS = 10  # of the flood
LOOK_SECONDS = 0.05
METHOD = "/inference.GRPCInferenceService/ModelInfer"
OPTIONS = [("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1)]


def message(photos: int, size: int) -> bytes:
    """A request of photos, padded to such a size, that take as much memory as any, and long."""
    bomb = encode(Image.new("L", (8_000, 8_000)), progressive=True)
    upload = bomb + bytes(size - len(bomb))
    request = ModelInferRequest(model_name="saliency")
    request.inputs.add(name="IMAGE", datatype="BYTES", shape=[photos, 1])
    request.raw_input_contents.append((struct.pack("<I", size) + upload) * photos)
    return bytes(request.SerializeToString())


class Peaks:
    """The most that a tritonserver and its processes hold, in bytes, while a block runs."""

    def __init__(self, process: int) -> None:
        leader = psutil.Process(process)
        self._processes = [leader, *leader.children(recursive=True)]
        self.idle, _ = self._look()
        self.private = self.shared = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_SECONDS):
                private, shared = self._look()
                self.private, self.shared = max(self.private, private), max(self.shared, shared)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _look(self) -> tuple[int, int]:
        name = "-".join(Path(self._processes[0].exe()).parent.name.split("-")[:2])
        shared = sum(
            path.stat().st_blocks * 512 for path in leftovers.SHARED_MEMORY.glob(f"{name}*")
        )
        return sum(each.memory_full_info().uss for each in self._processes), shared


def flood(address: str, messages: list[bytes], seconds: float) -> Counter[str]:
    """Keep all of these in flight, each again when it has ended; how they ended."""
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + seconds

    def send(request: bytes) -> None:
        with grpc.insecure_channel(address, OPTIONS) as channel:
            call = channel.unary_unary(METHOD)
            while time.monotonic() < end:
                try:
                    call(request, timeout=30)
                    outcomes["OK"] += 1
                except grpc.RpcError as error:
                    outcomes[error.code().name] += 1

    threads = [threading.Thread(target=send, args=(each,)) for each in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_flood_of_the_largest_requests_stays_within_the_rule(tmp_path: Path) -> None:
    """As many as may be in flight: large, slow, and each a bomb within bounds."""
    rule = suited_to(CORES)
    one, several = message(1, UPLOAD), message(PHOTOS, UPLOAD // PHOTOS)
    address, log = free_address(), tmp_path / "triton.log"
    LOGS.append(log)
    with log.open("w") as file, embedded.run(address, log=file, cores=CORES) as process:
        peaks = Peaks(process.pid)
        with peaks.watched():
            messages = [one if number % 4 else several for number in range(rule.in_flight())]
            outcomes = flood(f"{address.host}:{address.grpc}", messages, SECONDS)
    assert set(outcomes) == {"OK", "UNAVAILABLE"}, outcomes
    assert rule.queue * UPLOAD < peaks.private - peaks.idle  # or it was no flood
    assert peaks.private < rule.memory()
    assert 0 < peaks.shared < rule.shared_memory()


@pytest.mark.parametrize("size", [REQUEST, 400 * 2**20])
def test_what_is_larger_is_refused_before_it_is_received(
    size: int, address: embedded.Address
) -> None:
    with (
        grpc.insecure_channel(f"{address.host}:{address.grpc}", OPTIONS) as channel,
        pytest.raises(grpc.RpcError, match="larger than max") as refused,
    ):
        channel.unary_unary(METHOD)(message(1, size), timeout=20)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_client_says_what_is_too_large(client: gazecrop.Client) -> None:
    with pytest.raises(gazecrop.ImageRejected, match="too many bytes"):
        client.predict(bytes(REQUEST))
