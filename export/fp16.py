"""Halve the exported student's precision where that costs nothing, and prove it.

    python -m export.fp16 --out FILE [--model FILE]

The types are in the graph, which is how TensorRT reads them from version 11 on. The
convolutions, nearly all of the cost, become float16. What turns scores into a density stays
float32: a Gaussian whose cells beside the photo weigh exp(−10,000), the softmax, and
densities too small for float16. Inputs and output keep their types.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.parity import MODEL, ExportError, canvas_of, densities, largest_move, sample_batch

SCORE = "readout.score.weight"  # of the last convolution: it and all after it stay float32
HALF, FULL = ".fp16", ".fp32"  # suffixes of constants and tensors in another type than before
TOLERANCE = 0.01  # of a photo's density may lie elsewhere than in float32


def convert(model: Path, out: Path) -> float:
    """Write the float16 graph to `out`; the largest share of a photo's density that moved.

    Nothing is written unless that share is within `TOLERANCE` on every sample photo.

    Raises:
        ExportError: it is not, or the graph has no weights `SCORE`.
    """
    original = onnx.load(model)
    halved = to_fp16(original).SerializeToString()
    batch = sample_batch(canvas_of(original))
    moved = largest_move(densities(model, *batch), densities(halved, *batch))
    if not moved <= TOLERANCE:
        raise ExportError(
            f"in float16 {moved:.2%} of a photo's density moves; {TOLERANCE:.2%} is allowed. "
            f"{out} was left as it was."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_bytes(halved)
    partial.replace(out)
    return moved


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its convolutions in float16.

    Raises:
        ExportError: the graph has no weights `SCORE`.
    """
    constants = {constant.name: constant for constant in model.graph.initializer}
    if SCORE not in constants:
        raise ExportError(f"the graph has no weights {SCORE}: is it this student's?")
    nodes = _retyped(model.graph, constants)
    used = {name for node in nodes for name in node.input}
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    for field in ("node", "initializer", "value_info"):
        halved.graph.ClearField(field)
    halved.graph.node.extend(nodes)
    for name, constant in constants.items():
        if name in used:
            halved.graph.initializer.append(constant)
        if name + HALF in used:
            values = numpy_helper.to_array(constant).astype(np.float16)
            halved.graph.initializer.append(numpy_helper.from_array(values, name + HALF))
    onnx.checker.check_model(halved, full_check=True)
    return halved


def _retyped(graph: onnx.GraphProto, constants: dict[str, TensorProto]) -> list[NodeProto]:
    """Copies of the nodes, in float16 up to the scores; casts lead to the rest."""
    floats = {name for name, value in constants.items() if value.data_type == TensorProto.FLOAT}
    finalized = _finalized(graph)
    halved = {name for node in graph.node for name in node.output} - finalized
    nodes: list[NodeProto] = []
    cast: set[str] = set()
    for original in graph.node:
        node = NodeProto()
        node.CopyFrom(original)
        if node.output[0] in finalized:
            for name in (halved & set(node.input)) - cast:
                nodes.append(helper.make_node("Cast", [name], [name + FULL], to=TensorProto.FLOAT))
                cast.add(name)
            _rename_inputs(node, halved, FULL)
        else:
            _rename_inputs(node, floats, HALF)
            for attribute in node.attribute:
                if (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.FLOAT):
                    attribute.i = TensorProto.FLOAT16
        nodes.append(node)
    return nodes


def _finalized(graph: onnx.GraphProto) -> set[str]:
    """Tensors that are computed from the scores or from the extent."""
    names = {SCORE, "EXTENT"}
    for node in graph.node:
        if names & set(node.input):
            names |= set(node.output)
    return names


def _rename_inputs(node: NodeProto, names: set[str], suffix: str) -> None:
    node.input[:] = [name + suffix if name in names else name for name in node.input]


def main() -> None:
    parser = argparse.ArgumentParser(description="the exported student in float16, checked")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    moved = convert(args.model, args.out)
    print(f"wrote {args.out}; at most {moved:.2%} of a photo's density moved")


if __name__ == "__main__":
    main()
