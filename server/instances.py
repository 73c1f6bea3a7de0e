"""How much of each model a host runs: a rule over its cores, as measured in `perf/README.md`."""

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container, where the kernel has cgroups 2


class Instances(NamedTuple):
    """How many instances of each model, and how many photos may wait for them."""

    preprocess: int
    student: int
    windows: int
    queue: int


def suited_to(cores: int) -> Instances:
    """One decoder more than cores, so that all decode while one waits; a network for each core.

    Of a large photo decoding takes most of the time, of a small one the network; windows take the
    least. The queue is what the cores answer in about half a second. Two decoders are the least:
    Triton 2.51 with a single one, on a single core, lets its batcher sleep through half-seconds.
    """
    return Instances(
        preprocess=cores + 1, student=cores, windows=math.ceil(cores / 4), queue=64 * cores
    )


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
    with _configuration(copy / "preprocess", name) as preprocess:
        preprocess.dynamic_batching.default_queue_policy.max_queue_size = instances.queue
    for model in ("preprocess", "student", "windows"):
        with _configuration(copy / model, name) as config:
            [group] = config.instance_group
            if group.kind == ModelInstanceGroup.KIND_CPU:
                group.count = getattr(instances, model)
    if cached:
        with _configuration(copy / "saliency", name) as saliency:
            saliency.response_cache.enable = True
    return copy


@contextlib.contextmanager
def _configuration(model: Path, name: str) -> Iterator[ModelConfig]:
    """What Triton reads of a model; changes are written when the block ends."""
    file = model / "configs" / f"{name}.pbtxt"
    if not file.is_file():
        file = model / "config.pbtxt"
    config = text_format.Parse(file.read_text("utf-8"), ModelConfig())
    yield config
    file.write_text(text_format.MessageToString(config), "utf-8")
