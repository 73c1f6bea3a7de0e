"""Export the student's checkpoint to ONNX and prove that both compute the same.

    python -m export.onnx [--checkpoint FILE] [--out FILE]

The graph takes what `preprocess` sends, uint8 pixels and the photo's extent on the canvas;
scaling, softmax and all else is inside it, so any runtime gives the maps of the network:

    PIXELS uint8 [N, canvas, canvas, 3], EXTENT int32 [N, 2]
        →  DENSITY float32 [N, grid, grid], INTEGRITY float32 [N, grid, grid]
"""

import argparse
import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from export.parity import MODEL, OUTPUTS, ExportError, maps, sample_batch
from training.evaluation.evaluate import CHECKPOINT
from training.files import whole
from training.networks import student

OPSET = 18  # the newest that the onnxruntime inside Triton 24.10 and all later ones read

# The largest difference allowed in a cell, relative to the density of an even spread or, in the
# integrity, to 1.
# Rounding in float32 stays two orders of magnitude below it.
TOLERANCE = 1e-2


def export(checkpoint: Path, out: Path) -> float:
    """Write the ONNX graph of a checkpoint to `out` and return its largest deviation.

    Nothing is written unless the graph passes the comparison on real photos.

    Raises:
        ExportError: the deviation is beyond `TOLERANCE`.
    """
    network = student.load(checkpoint)
    graph = to_onnx(network).SerializeToString()
    deviation = largest_deviation(network, graph)
    if not deviation <= TOLERANCE:
        raise ExportError(
            f"the graph deviates from {checkpoint} by {deviation:.2g} in a cell; "
            f"{TOLERANCE:.2g} is allowed. {out} was left as it was."
        )
    with whole(out) as file:
        file.write_bytes(graph)
    return deviation


def to_onnx(network: student.Student) -> onnx.ModelProto:
    """The student as a graph with a dynamic batch dimension."""
    network = without_idle_projections(network)
    canvas = network.sizes.canvas
    pixels = torch.zeros(2, canvas, canvas, 3, dtype=torch.uint8)
    extent = torch.full((2, 2), canvas, dtype=torch.int32)
    batch = {0: torch.export.Dim("N")}
    with torch.inference_mode():
        names = OUTPUTS[: len(_tuple(network(pixels, extent)))]
    program = torch.onnx.export(
        network,
        (pixels, extent),
        input_names=["PIXELS", "EXTENT"],
        output_names=names,
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


def without_idle_projections(network: student.Student) -> student.Student:
    """A copy whose projections are part of the expansion after them, where nothing lies between.

    Both are 1×1 convolutions, and W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂). A shortcut or a
    tap reads a projection's maps, too; and where it has few of them, two steps cost less.
    """
    merged = copy.deepcopy(network)
    blocks = [b for b in merged.features.block.values() if isinstance(b, student.InvertedResidual)]
    for number, (block, following) in enumerate(pairwise(blocks), 1):
        apart = block.residual or following.residual or number in merged.features.taps
        if apart or following.expand is None:
            continue
        both = _composed(block.project, following.expand)
        weights = block.project.weight.numel() + following.expand.weight.numel()
        if both.weight.numel() <= weights:
            block.register_module("project", nn.Identity())
            following.expand = both
    return merged.eval()


def _composed(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """The one 1×1 convolution that does what two do."""
    one, other = first.state_dict(), second.state_dict()
    w1, w2 = one["weight"].flatten(1), other["weight"].flatten(1)
    both = nn.Conv2d(first.in_channels, second.out_channels, 1)
    weight, bias = (w2 @ w1)[:, :, None, None], w2 @ one["bias"] + other["bias"]
    both.load_state_dict({"weight": weight, "bias": bias})
    return both


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop traces of source files and modules: the same checkpoint gives the same bytes."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def largest_deviation(network: student.Student, model: Path | bytes) -> float:
    """Of the graph from the network on real photos: see `TOLERANCE`."""
    pixels, extent = sample_batch(network.sizes.canvas)
    with torch.inference_mode():
        computed = _tuple(network(torch.from_numpy(pixels), torch.from_numpy(extent)))
    units = (network.sizes.grid**2, 1)[: len(computed)]  # of the density, of the integrity
    return max(
        float(np.abs(exported - one.numpy()).max() * unit)
        for exported, one, unit in zip(maps(model, pixels, extent), computed, units, strict=True)
    )


def _tuple(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def main() -> None:
    parser = argparse.ArgumentParser(description="export the student to ONNX, checked")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--out", type=Path, default=MODEL)
    args = parser.parse_args()
    deviation = export(args.checkpoint, args.out)
    print(f"wrote {args.out}; largest deviation {deviation:.1e}")


if __name__ == "__main__":
    main()
