import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import helper, numpy_helper

from export import int8
from export.parity import (
    MODEL,
    Densities,
    ExportError,
    canvas_of,
    densities,
    largest_move,
    sample_batch,
)


def density(model: Path) -> Densities:
    return densities(model, *sample_batch(canvas_of(onnx.load(model))))


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("int8") / "model.int8.onnx"
    int8.quantise(MODEL, out)
    return out


def test_the_served_integers_are_those_of_the_served_floats(quantised: Path) -> None:
    """Other versions of the quantiser round a range differently now and then, not more."""
    assert largest_move(density(int8.INT8), density(quantised)) < 0.01


def test_densities_hardly_move(quantised: Path) -> None:
    assert 0 < largest_move(density(MODEL), density(quantised)) < int8.TOLERANCE


@pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ
    or not {"avx512_vnni", "avx_vnni", "asimddp"} & set(Path("/proc/cpuinfo").read_text().split()),
    reason="without dot products of bytes sums of 16 bits overflow; floats are served there",
)
def test_engines_agree_on_the_integers(quantised: Path) -> None:
    pixels, extent = sample_batch(canvas_of(onnx.load(MODEL)))
    compiled = openvino.Core().compile_model(quantised, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled({"PIXELS": pixels, "EXTENT": extent})["DENSITY"]
    assert largest_move(density(quantised), np.array(result)) < 0.05


def test_the_form_is_what_tensorrt_reads(quantised: Path) -> None:
    """Symmetric 8-bit pairs, a scale for each output channel of a convolution's weights."""
    graph = onnx.load(quantised).graph
    constants = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    for node in nodes:
        zero = constants[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    scales = {
        constants[node.input[0]].shape[0]: constants[node.input[1]].size
        for node in nodes
        if node.input[0] in constants
    }
    assert scales
    assert all(channels == count for channels, count in scales.items())
    made = {name: node.op_type for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == len(
        [node for node in onnx.load(MODEL).graph.node if node.op_type == "Conv"]
    )
    assert {made[node.input[0]] for node in convolutions} == {"DequantizeLinear"}


def test_what_rounding_clips_is_clipped_by_nothing_else(quantised: Path) -> None:
    assert not [node for node in onnx.load(quantised).graph.node if node.op_type == "Clip"]


@pytest.mark.parametrize(("scale", "kept"), [(6 / 127, False), (3 / 127, False), (7 / 127, True)])
def test_upper_bounds_go_where_the_integers_end_before(scale: float, kept: bool) -> None:
    nodes = [
        helper.make_node("Clip", ["x", "low", "high"], ["clipped"]),
        helper.make_node("QuantizeLinear", ["clipped", "scale", "zero"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(value, kind), name)
        for name, value, kind in (
            ("low", 0, np.float32),
            ("high", 6, np.float32),
            ("scale", scale, np.float32),
            ("zero", 0, np.int8),
        )
    ]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [200])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.INT8, [200])
    graph = helper.make_graph(nodes, "clip", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    changed = int8.clipped_by_rounding(onnx.ModelProto.FromString(model.SerializeToString()))
    assert next(node.op_type for node in changed.graph.node) == ("Clip" if kept else "Relu")
    values = {"x": np.linspace(-10, 10, 200, dtype=np.float32)}
    one, other = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, values)[0]
        for m in (model, changed)
    )
    assert (one == other).all()


def test_nothing_is_written_if_too_much_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "TOLERANCE", 0.0)
    with pytest.raises(ExportError, match="density moves"):
        int8.quantise(MODEL, tmp_path / "model.int8.onnx")
    assert not list(tmp_path.iterdir())
