"""The exported student in float16, as TensorRT builds it.

    python -m export.fp16 --out FILE [--model FILE]

All layers up to the last convolutions become float16. Those, which score each cell, and what
turns scores into a density stay float32: a Gaussian whose cells beside the photo weigh
exp(−10,000), the softmax, and densities too small for float16. Inputs and output keep their types.
"""

import argparse
from pathlib import Path

import onnx
from onnxruntime.transformers.onnx_model import OnnxModel

from export.parity import MODEL, proven
from training.files import whole

# Of a photo's density may lie elsewhere than in float32; of a cell's integrity may differ.
TOLERANCE = 0.01


def convert(model: Path, out: Path) -> float:
    """Write the float16 graph to `out`; the largest share of a photo's density that moved.

    Nothing is written unless that share is within `TOLERANCE` on every sample photo, and the
    mean difference of the integrity, too.

    Raises:
        ExportError: it is not.
    """
    halved = to_fp16(onnx.load(model)).SerializeToString()
    moved = proven(model, halved, "float16", TOLERANCE, TOLERANCE)
    with whole(out) as file:
        file.write_bytes(halved)
    return moved


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, in float16 up to its last convolutions."""
    halved = OnnxModel(onnx.ModelProto.FromString(model.SerializeToString()))
    del halved.model.graph.value_info[:]  # types of constants, too, that would be cast
    halved.convert_float_to_float16(
        use_symbolic_shape_infer=False,
        keep_io_types=True,
        op_block_list=[],
        node_block_list=_scoring(model.graph),
    )
    halved.topological_sort()
    del halved.model.graph.value_info[:]  # as they were before casts went
    onnx.checker.check_model(halved.model, full_check=True)
    return halved.model


def _scoring(graph: onnx.GraphProto) -> list[str]:
    """Names of the last convolutions, of all that follows them, and of what reads the extent."""
    leading: set[str] = set()  # tensors that lead to a convolution
    last: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        leads = bool(leading & set(node.output))
        if node.op_type == "Conv" and not leads:
            last.append(node)
        if node.op_type == "Conv" or leads:
            leading |= set(node.input)
    scores = {"EXTENT"}.union(*(node.output for node in last))
    names = [node.name for node in last]
    for node in graph.node:
        if scores & set(node.input):
            scores |= set(node.output)
            names.append(node.name)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description="the exported student in float16, checked")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    moved = convert(args.model, args.out)
    print(f"wrote {args.out}; at most {moved:.2%} of a photo's density moved")


if __name__ == "__main__":
    main()
