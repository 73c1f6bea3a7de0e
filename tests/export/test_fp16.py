from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from export import fp16
from export.parity import MODEL, ExportError


@pytest.fixture(scope="module")
def halved() -> onnx.ModelProto:
    return fp16.to_fp16(onnx.load(MODEL))


@pytest.fixture(scope="module")
def types(halved: onnx.ModelProto) -> dict[str, int]:
    """The element type of every tensor."""
    graph = onnx.shape_inference.infer_shapes(halved, strict_mode=True).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {constant.name: constant.data_type for constant in graph.initializer}


def test_densities_hardly_move(tmp_path: Path) -> None:
    out = tmp_path / "new" / "model.fp16.onnx"
    assert 0 < fp16.convert(MODEL, out) < fp16.TOLERANCE
    assert [path.name for path in out.parent.iterdir()] == ["model.fp16.onnx"]
    assert out.stat().st_size < 0.6 * MODEL.stat().st_size


def test_convolutions_up_to_the_scores_are_in_float16(
    halved: onnx.ModelProto, types: dict[str, int]
) -> None:
    convolutions = [node for node in halved.graph.node if node.op_type == "Conv"]
    in_full = [node for node in convolutions if types[node.output[0]] != TensorProto.FLOAT16]
    assert 0 < len(in_full) < len(convolutions)
    assert in_full == convolutions[-len(in_full) :]


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Exp", "MatMul", "Pow"])
def test_what_makes_the_density_stays_in_float32(
    halved: onnx.ModelProto, types: dict[str, int], kind: str
) -> None:
    nodes = [node for node in halved.graph.node if node.op_type == kind]
    assert nodes
    assert all(types[node.output[0]] == TensorProto.FLOAT for node in nodes)


def test_inputs_and_output_keep_their_types(halved: onnx.ModelProto) -> None:
    original = onnx.load(MODEL).graph
    assert halved.graph.input == original.input
    assert halved.graph.output == original.output


def test_nothing_is_written_if_too_much_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fp16, "TOLERANCE", 0.0)
    out = tmp_path / "model.fp16.onnx"
    out.write_bytes(b"the previous one")
    with pytest.raises(ExportError, match="density moves"):
        fp16.convert(MODEL, out)
    assert out.read_bytes() == b"the previous one"
