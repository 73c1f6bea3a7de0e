import math

import onnx
import pytest

from export.onnx import to_onnx
from tests.training.samples import TINY
from training.networks.cost import GROUP, groups, macs, milliseconds, saving, width, with_width
from training.networks.student import Student, StudentSizes


def counted_macs(model: onnx.ModelProto) -> int:
    """Of the convolutions and the matrix products over scores in an exported graph."""
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    }
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        elif node.op_type == "MatMul":
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return total


@pytest.mark.parametrize("sizes", [StudentSizes(), TINY], ids=["full", "tiny"])
def test_the_cost_is_that_of_the_exported_graph(sizes: StudentSizes) -> None:
    inferred = onnx.shape_inference.infer_shapes(to_onnx(Student(sizes).eval()))
    assert counted_macs(inferred) == macs(sizes)


def test_every_group_saves_what_the_narrower_network_costs_less() -> None:
    sizes = StudentSizes()
    for group in groups(sizes):
        narrower = with_width(sizes, group, width(sizes, group) - GROUP)
        assert width(narrower, group) == width(sizes, group) - GROUP
        assert saving(sizes, group, cost=macs) == macs(sizes) - macs(narrower) > 0
        assert saving(sizes, group) == pytest.approx(milliseconds(sizes) - milliseconds(narrower))
        assert saving(sizes, group) > 0


def test_streams_span_their_residual_blocks() -> None:
    sizes = with_width(StudentSizes(), "stream 7", 48)
    assert [block.out for block in sizes.blocks[6:10]] == [48] * 4
    assert sizes.blocks[5].out == 32
    assert sizes.blocks[10].out == 96
