"""Build an engine, prove it on real photos, write its plan, and say how fast it is.

Import it after `machine.load_tensorrt`.
"""

from pathlib import Path

import numpy as np
import onnx
import tensorrt as trt

from export.fp16 import to_fp16
from export.parity import canvas_of, densities, largest_move, sample_batch
from export.tensorrt.build import Options, build
from export.tensorrt.engine import Engine, loaded
from export.tensorrt.machine import EngineError, Gpu
from export.tensorrt.plan import PlanInfo, sha256, write_whole

# The share of a photo's density that may move from the float32 ONNX. On the CPU 0.4 % moves in
# float16 and 4 % in 8 bits; TensorRT rounds float32 to TF32 where the GPU offers it.
TOLERANCES = {"fp32": 0.01, "fp16": 0.01, "int8": 0.1}
TIMED_BATCHES = (1, 8, 64)


def make(source: Path, reference: Path, out: Path, gpu: Gpu, options: Options) -> None:
    """Build `source`, and write `out` if it computes what `reference`, in float32, does.

    Raises:
        EngineError: TensorRT fails, or too much of a photo's density moves.
    """
    model = onnx.load(source)
    plan = build(to_fp16(model) if options.precision == "fp16" else model, options)
    with loaded(plan, options.max_batch) as engine:
        moved = distance(engine, reference, options.max_batch)
        if not moved <= TOLERANCES[options.precision]:
            raise EngineError(
                f"the engine moves {moved:.2%} of a photo's density; in {options.precision} "
                f"{TOLERANCES[options.precision]:.2%} is allowed. {out} was left as it was."
            )
        write_whole(out, plan)
        describe(reference, gpu, options).write(out)
        print(f"wrote {out}; at most {moved:.2%} of a photo's density moved")
        report_speed(engine, canvas_of(model), options.max_batch)
    if options.version_compatible:
        print("serve it with tritonserver --backend-config=tensorrt,version-compatible=true")


def distance(engine: Engine, reference: Path, max_batch: int) -> float:
    """The largest share of a sample photo's density that moved, in a batch or alone."""
    pixels, extent = sample_batch(canvas_of(onnx.load(reference)))
    expected = densities(reference, pixels, extent)
    moves = []
    for size in (1, min(len(pixels), max_batch)):
        starts = range(0, len(pixels), size)
        parts = [engine.predict(pixels[i : i + size], extent[i : i + size]) for i in starts]
        moves.append(largest_move(np.concatenate(parts), expected))
    return float(np.max(moves))  # not a number wins


def describe(reference: Path, gpu: Gpu, options: Options) -> PlanInfo:
    return PlanInfo(
        tensorrt=trt.__version__,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        precision=options.precision,
        optimal_batch=options.optimal_batch,
        max_batch=options.max_batch,
        version_compatible=options.version_compatible,
        hardware_compatible=options.hardware_compatible,
        model_sha256=sha256(reference),
    )


def report_speed(engine: Engine, canvas: int, max_batch: int) -> None:
    """Print, for batches of several sizes, the GPU's time: no copies, no CUDA graphs."""
    pixels, extent = sample_batch(canvas)
    for size in TIMED_BATCHES:
        if size <= max_batch:
            some = np.arange(size) % len(pixels)
            duration = engine.milliseconds(pixels[some], extent[some])
            print(f"batch {size:2}: {duration:7.3f} ms, {size / duration * 1000:9,.0f} photos/s")
