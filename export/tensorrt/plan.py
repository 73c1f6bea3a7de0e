"""What a plan was built for, written beside it, and whether it fits the machine here.

TensorRT finds a misfit only when it reads the plan, and Triton then says little more than
that the model has failed. `misfits` says it before, in words, and needs no package for it.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from export.tensorrt.machine import EngineError, Gpu, release

PLAN = Path(__file__).parents[2] / "model_repository" / "student" / "1" / "model.plan"
OPTIMAL_BATCH, MAX_BATCH = 16, 64  # the latter as in the model's configs/gpu.pbtxt
# The share of a photo's density that may move from the float32 ONNX. On the CPU 0.4 % moves in
# float16; TensorRT rounds float32 to TF32 where the GPU offers it. There is no engine in 8-bit
# integers: `layers` shows that it would move more of its activations than either.
TOLERANCES = {"fp16": 0.01, "fp32": 0.01}
MARKS = {b"ftrt": "TensorRT", b"vtrt": "TensorRT-RTX"}  # what a plan begins with, by its builder
OLDEST_COMPATIBLE = 8  # hardware-compatible plans run on compute capability 8.0 (Ampere) and up


@dataclass(frozen=True)
class PlanInfo:
    """What has to fit, or is worth knowing, of a plan."""

    tensorrt: str  # version that built it, "11.4.0.106"
    gpu: str  # that it was built on
    compute_capability: str
    precision: str
    max_batch: int
    hardware_compatible: bool
    model_sha256: str  # of the float32 ONNX it comes from

    @staticmethod
    def read(plan: Path) -> "PlanInfo":
        """
        Raises:
            EngineError: there is no plan, it is TensorRT-RTX's, or there is nothing readable
                beside it.
        """
        if not plan.is_file():
            raise EngineError(
                f"{plan} does not exist: build it here with python -m export.tensorrt. Without "
                "it Triton says “unable to load plan file to auto complete config” or “unable "
                "to find” it, and does not start"
            )
        refuse_foreign(plan.read_bytes(), "TensorRT")
        try:
            return PlanInfo(**json.loads(beside(plan).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise EngineError(
                f"{beside(plan)} does not say what {plan.name} was built for ({error}): build "
                "it again with python -m export.tensorrt"
            ) from error


def refuse_foreign(plan: bytes, library: str) -> None:
    """
    Args:
        library: that is to load the plan, a name in `MARKS`.

    Raises:
        EngineError: the plan is the other library's.
    """
    builder = MARKS.get(plan[:4], library)
    if builder != library:
        raise EngineError(
            f"this plan was built by {builder}, and {library} does not load it. Triton serves with "
            "TensorRT: build the plan with python -m export.tensorrt, inside the serving image"
        )


def beside(plan: Path) -> Path:
    return plan.with_name(plan.name + ".json")


def sha256(model: Path) -> str:
    return hashlib.sha256(model.read_bytes()).hexdigest()


def misfits(info: PlanInfo, served: str | None, gpus: list[Gpu]) -> list[str]:
    """Why the TensorRT of version `served` could not run the plan on these GPUs; or nothing."""
    found = []
    if served is None:
        found.append("there is no libnvinfer.so here: this is no image of a server with TensorRT")
    elif release(info.tensorrt) != served:
        found.append(
            f"the plan is of TensorRT {info.tensorrt}, the server has {served}: build it here"
        )
    found += [
        f"the plan is for compute capability {info.compute_capability} ({info.gpu}), the GPU "
        f"{gpu.name} has {gpu.compute_capability}: build it here, or, for Ampere and newer, "
        "with --hardware-compatible"
        for gpu in gpus
        if not _gpu_fits(info, gpu)
    ]
    return found


def _gpu_fits(info: PlanInfo, gpu: Gpu) -> bool:
    if info.hardware_compatible:
        return float(gpu.compute_capability) >= OLDEST_COMPATIBLE
    return info.compute_capability == gpu.compute_capability


def outdated(info: PlanInfo, plan: Path) -> list[str]:
    """Why the plan does not go with the files of its model around it; or nothing."""
    found = []
    model, config = plan.with_name("model.onnx"), plan.parent.parent / "configs" / "gpu.pbtxt"
    if model.is_file() and sha256(model) != info.model_sha256:
        found.append(f"{model} has changed since {plan.name} was built from it")
    text = config.read_text("utf-8") if config.is_file() else ""
    wanted = re.search(r"^max_batch_size:\s*(\d+)", text, re.MULTILINE)
    if wanted is not None and int(wanted[1]) > info.max_batch:
        found.append(
            f"{config} says max_batch_size {wanted[1]}, the plan was built for batches of up to "
            f"{info.max_batch}"
        )
    return found
