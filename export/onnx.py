"""Export the student's checkpoint to ONNX and prove that both compute the same.

    python -m export.onnx [--checkpoint FILE] [--out FILE]

The graph takes what `preprocess` sends, uint8 pixels and the photo's extent on the canvas;
scaling, softmax and all else is inside it, so any runtime gives densities:

    PIXELS uint8 [N, canvas, canvas, 3], EXTENT int32 [N, 2]  →  DENSITY float32 [N, grid, grid]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import skimage.data
import torch
from numpy.typing import NDArray

from training import student
from training.evaluate import CHECKPOINT
from training.framing import frame

MODEL = Path(__file__).parents[1] / "model_repository" / "student" / "1" / "model.onnx"
OPSET = 18  # the newest that the onnxruntime inside Triton 24.10 and all later ones read

# The largest difference allowed in a cell, relative to the density of an even spread.
# Rounding in float32 stays two orders of magnitude below it.
TOLERANCE = 1e-2


class ExportError(Exception):
    """The exported graph does not compute what the checkpoint computes."""


def export(checkpoint: Path, out: Path) -> float:
    """Write the ONNX graph of a checkpoint to `out` and return its largest deviation.

    Nothing is written unless the graph passes the comparison on real photos.

    Raises:
        ExportError: the deviation is beyond `TOLERANCE`.
    """
    network = student.load(checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        partial = Path(folder) / out.name
        onnx.save(to_onnx(network), partial)
        deviation = largest_deviation(network, partial)
        if not deviation <= TOLERANCE:
            raise ExportError(
                f"the graph deviates from {checkpoint} by {deviation:.2g} of an even spread; "
                f"{TOLERANCE:.2g} is allowed. {out} was left as it was."
            )
        partial.replace(out)
    return deviation


def to_onnx(network: student.Student) -> onnx.ModelProto:
    """The student as a graph with a dynamic batch dimension."""
    canvas = network.sizes.canvas
    pixels = torch.zeros(2, canvas, canvas, 3, dtype=torch.uint8)
    extent = torch.full((2, 2), canvas, dtype=torch.int32)
    batch = {0: torch.export.Dim("N")}
    program = torch.onnx.export(
        network,
        (pixels, extent),
        input_names=["PIXELS", "EXTENT"],
        output_names=["DENSITY"],
        dynamic_shapes=(batch, batch),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _forget_origin(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop traces of source files and modules: the same checkpoint gives the same bytes."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def largest_deviation(network: student.Student, model: Path) -> float:
    """Of the graph from the network on real photos, relative to the density of an even spread."""
    pixels, extent = sample_batch(network.sizes.canvas)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (exported,) = session.run(["DENSITY"], {"PIXELS": pixels, "EXTENT": extent})
    with torch.inference_mode():
        density = network(torch.from_numpy(pixels), torch.from_numpy(extent)).numpy()
    return float(np.abs(exported - density).max() * network.sizes.grid**2)


def sample_batch(canvas: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Real photos of several shapes from scikit-image, framed: pixels and extents."""
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    photos = [astronaut, coffee, skimage.data.chelsea(), skimage.data.rocket()]
    tall, wide = astronaut[:, 100:300], coffee[100:250]
    framed = [frame(photo, canvas) for photo in (*photos, tall, wide)]
    return np.stack([pixels for pixels, _ in framed]), np.stack([extent for _, extent in framed])


def main() -> None:
    parser = argparse.ArgumentParser(description="export the student to ONNX, checked")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--out", type=Path, default=MODEL)
    args = parser.parse_args()
    deviation = export(args.checkpoint, args.out)
    print(f"wrote {args.out}; largest deviation {deviation:.1e} of an even spread")


if __name__ == "__main__":
    main()
