"""Build an engine, prove it on real photos, write its plan, and say how fast it is.

Import it after `machine.load_tensorrt`.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import tensorrt as trt

from export.fp16 import to_fp16
from export.parity import canvas_of, largest_difference, largest_move, maps, sample_batch
from export.tensorrt.build import build
from export.tensorrt.engine import Engine, loaded
from export.tensorrt.machine import EngineError, Gpu
from export.tensorrt.plan import MAX_BATCH, TOLERANCES, PlanInfo, beside, sha256
from training.files import whole

TIMED_BATCHES = (1, 8, MAX_BATCH)


def make(model: Path, out: Path, gpu: Gpu, precision: str, hardware_compatible: bool) -> None:
    """Build `model`, the ONNX in float32, and write `out` if it computes the same.

    Raises:
        EngineError: TensorRT fails, or too much of a photo's density moves.
    """
    graph = onnx.load(model)
    plan = build(to_fp16(graph) if precision == "fp16" else graph, hardware_compatible)
    with loaded(plan) as engine:
        moved, differs = distances(engine, model)
        if not moved <= TOLERANCES[precision]:
            raise EngineError(
                f"the engine moves {moved:.2%} of a photo's density; in {precision} "
                f"{TOLERANCES[precision]:.2%} is allowed. {out} was left as it was."
            )
        if not differs <= TOLERANCES[precision]:
            raise EngineError(
                f"the engine's integrity differs by {differs:.4f} a cell; in {precision} "
                f"{TOLERANCES[precision]} is allowed. {out} was left as it was."
            )
        with whole(out) as file:
            file.write_bytes(plan)
        info = PlanInfo(
            tensorrt=trt.__version__,
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            precision=precision,
            max_batch=MAX_BATCH,
            hardware_compatible=hardware_compatible,
            model_sha256=sha256(model),
        )
        with whole(beside(out)) as file:
            file.write_text(json.dumps(asdict(info), indent=2) + "\n")
        print(f"wrote {out}; at most {moved:.2%} of a photo's density moved")
        report_speed(engine, canvas_of(graph))


def distances(engine: Engine, reference: Path) -> tuple[float, float]:
    """Of the sample photos' maps, in a batch or alone: the largest share of a density that moved,
    and the largest mean difference of an integrity (0 where the network tells none)."""
    pixels, extent = sample_batch(canvas_of(onnx.load(reference)))
    density, *others = maps(reference, pixels, extent)
    moves, differences = [], [0.0]
    for size in (1, len(pixels)):
        starts = range(0, len(pixels), size)
        parts = [engine.predict(pixels[i : i + size], extent[i : i + size]) for i in starts]
        built, *built_others = (np.concatenate(one) for one in zip(*parts, strict=True))
        moves.append(largest_move(built, density))
        pairs = zip(built_others, others, strict=True)
        differences += [largest_difference(*pair) for pair in pairs]
    return float(np.max(moves)), float(np.max(differences))  # not a number wins


def report_speed(engine: Engine, canvas: int) -> None:
    """Print, for batches of several sizes, the GPU's time: no copies, no CUDA graphs."""
    pixels, extent = sample_batch(canvas)
    for size in TIMED_BATCHES:
        some = np.arange(size) % len(pixels)
        duration = engine.milliseconds(pixels[some], extent[some])
        print(f"batch {size:2}: {duration:7.3f} ms, {size / duration * 1000:9,.0f} photos/s")
