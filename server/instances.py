"""How much of each model a host runs: a rule over its cores, as measured in `perf/README.md`."""

import compileall
import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

UPLOAD = 20 * 2**20  # bytes of a photo at most: MAX_BYTES of `photo.py`
REQUEST = UPLOAD + 2**20  # bytes of a request at most, of however many photos
CANVAS = 320 * 320 * 3  # bytes of a photo as the network sees it
BATCH = 2  # photos that a decoder takes at once, of as many requests
PHOTOS = 4  # in a request
LIVES = 3  # requests in a region: one read, one answered, and the gaps that others left
QUEUE = 64  # requests that wait, for each core
AHEAD = 2  # batches that each decoder has: in work, and next
RECEIVED = 24  # requests at once that Triton has not yet let in or refused
TRITON = 192 * 2**20  # bytes of its own
DECODER = 320 * 2**20  # bytes of its process: MAX_MEMORY of `photo.py`, and what it imports
NETWORK = 128 * 2**20
WINDOWS = 64 * 2**20
OVERHEAD = 2 * 2**20  # a process's queues, and the steps in which its region grows
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container, where the kernel has cgroups 2


class Instances(NamedTuple):
    """How many instances of each model, and how many requests may wait for them."""

    preprocess: int
    student: int
    windows: int
    queue: int
    photos: int = PHOTOS

    def memory(self) -> int:
        """Bytes that a pod has for Triton and all processes, beside /dev/shm.

        Requests in flight are of the largest size; those that Triton has accepted it holds twice,
        for what it received them in is kept for the next. It refuses more than these, but only
        when it has received them.
        """
        processes = self.preprocess * DECODER + self.student * NETWORK + self.windows * WINDOWS
        return TRITON + (self.accepted() + self.in_flight()) * REQUEST + processes

    def accepted(self) -> int:
        """Requests that wait or are decoded."""
        return self.queue + AHEAD * BATCH * self.preprocess

    def in_flight(self) -> int:
        """Requests that are accepted, or on their way in."""
        return self.accepted() + RECEIVED

    def shared_memory(self) -> int:
        """Bytes of /dev/shm that they take when every request is as large as may be.

        A photo passes through it on its way to its decoder, and its pixels to the network. A
        region grows with the requests and never shrinks.
        """
        return self.preprocess * self.largest_region() + self._others()

    def region(self, room: int) -> int:
        """Bytes that the region of a decoder may have where /dev/shm has so much room."""
        return min(self.largest_region(), (room - self._others()) // self.preprocess)

    def _others(self) -> int:
        return (self.student + self.windows) * (self.photos * CANVAS + OVERHEAD)

    def largest_region(self) -> int:
        """Bytes of the region of a decoder when every request is as large as may be."""
        return LIVES * (min(BATCH, self.photos) * REQUEST + self.photos * CANVAS) + OVERHEAD


def suited_to(cores: int, room: int | None = None) -> Instances:
    """One decoder more than cores, so that all decode while one waits; a network for each core.

    Of a large photo decoding takes most of the time, of a small one the network; windows take the
    least. The queue is what the cores answer in about half a second. Two decoders are the
    least: Triton 2.51 with a single one, on a single core, lets its batcher sleep through
    half-seconds.

    Where so many bytes of /dev/shm are too few, requests may hold fewer photos; then there are
    fewer decoders.
    """
    suited = Instances(
        preprocess=cores + 1,
        student=cores,
        windows=max(2, math.ceil(cores / 4)),  # one that dies is replaced while another goes on
        queue=QUEUE * cores,
    )
    if room is None:
        return suited
    while suited.shared_memory() > room and suited.photos > 1:
        suited = suited._replace(photos=suited.photos // 2)
    while suited.shared_memory() > room and suited.preprocess > 1:
        decoders = suited.preprocess - 1
        suited = suited._replace(preprocess=decoders, student=min(suited.student, decoders))
    return suited


def usable_cores(cpu_quota: Path = CPU_QUOTA) -> int:
    """The cores that this process may use: those it is bound to, within its container's quota."""
    bound = len(os.sched_getaffinity(0))
    if not cpu_quota.is_file():
        return bound
    quota, period = cpu_quota.read_text().split()
    return bound if quota == "max" else min(bound, math.ceil(int(quota) / int(period)))


def with_instances(
    repository: Path, folder: Path, instances: Instances, cached: bool = False, name: str = ""
) -> Path:
    """A copy of the model repository, in `folder`, whose configurations say so.

    What runs on GPUs has its number of instances from each GPU, and keeps it.

    Args:
        name: of the configurations that Triton will read, as in `--model-config-name`.
        cached: whether the server has a response cache for the ensemble to use. An ensemble that
            may use one has no `nv_inference_request_summary_us`, even where there is none.
    """
    copy = folder / repository.name
    shutil.copytree(repository, copy)
    # Else the models' processes do. To Triton another file is another model, which it then loads
    # as a whole beside the old one instead of replacing one process, and never ends the old one.
    compileall.compile_dir(copy, quiet=1)
    with configuration(copy / "preprocess", name) as preprocess:
        preprocess.dynamic_batching.default_queue_policy.max_queue_size = instances.queue
        if instances.photos < BATCH:
            del preprocess.dynamic_batching.preferred_batch_size[:]
    for path in copy.iterdir():
        with configuration(path, name) as config:
            if any(group.kind != ModelInstanceGroup.KIND_CPU for group in config.instance_group):
                continue
            config.max_batch_size = min(config.max_batch_size, instances.photos)
            if config.instance_group:
                _multiply(config, path.name, getattr(instances, path.name))
    if cached:
        with configuration(copy / "saliency", name) as saliency:
            saliency.response_cache.enable = True
    return copy


def tell_apart(group: ModelInstanceGroup, model: str, number: int) -> None:
    """Make an instance one that Triton replaces alone: its rate limiter, unused, tells them so."""
    group.name = f"{model}-{number}"
    group.rate_limiter.priority = number


def read(model: Path, name: str = "") -> ModelConfig:
    """What Triton reads of a model with `--model-config-name` of that name."""
    return text_format.Parse(_file(model, name).read_text("utf-8"), ModelConfig())


@contextlib.contextmanager
def configuration(model: Path, name: str = "") -> Iterator[ModelConfig]:
    """What `read` does; changes are written when the block ends."""
    config = read(model, name)
    yield config
    _file(model, name).write_text(text_format.MessageToString(config), "utf-8")


def _multiply(config: ModelConfig, model: str, count: int) -> None:
    """As many instances, each in a group of its own."""
    group = config.instance_group.pop()
    for number in range(1, count + 1):
        group.count = 1
        tell_apart(group, model, number)
        config.instance_group.add().CopyFrom(group)


def _file(model: Path, name: str) -> Path:
    file = model / "configs" / f"{name}.pbtxt"
    return file if file.is_file() else model / "config.pbtxt"
