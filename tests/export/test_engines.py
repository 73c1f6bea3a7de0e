"""Engines that TensorRT-RTX builds here, without a GPU: what their layers compute in and move."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import helper

from export.fp16 import to_fp16
from export.parity import MODEL
from export.tensorrt.layers import Layer, kernels, load_tensorrt_rtx
from export.tensorrt.machine import EngineError
from export.tensorrt.plan import refuse_foreign


@pytest.fixture(scope="module")
def build() -> Iterator[ModuleType]:
    """`export.tensorrt.build` on TensorRT-RTX."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorrt", None)  # put back in the end
        patch.delitem(sys.modules, "export.tensorrt.build", raising=False)
        try:
            load_tensorrt_rtx()
        except EngineError as error:
            pytest.skip(str(error))
        yield importlib.import_module("export.tensorrt.build")
        del sys.modules["export.tensorrt.build"]


@pytest.fixture(scope="module")
def engines(build: ModuleType) -> dict[str, list[Layer]]:
    """The kernels of the network's engine, by what its graph computes in."""
    model = onnx.load(MODEL)
    integers = onnx.load(MODEL.with_name("model.int8.onnx"))
    found = {}
    for name, graph in {"fp32": model, "fp16": to_fp16(model), "int8": integers}.items():
        log = build.Log()
        assert len(build.build(graph, log=log)) > 100_000
        found[name] = kernels(log.layers)
    return found


def convolutions(layers: list[Layer]) -> list[Layer]:
    return [layer for layer in layers if layer.kind == "correlation"]


def moved(layers: list[Layer]) -> int:
    return sum(layer.bytes for layer in layers)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_activations_are_part_of_their_convolutions(
    engines: dict[str, list[Layer]], precision: str
) -> None:
    """What is left by itself: pixels to floats, the smoothing of both maps, the softmax."""
    alone = [layer for layer in engines[precision] if layer.kind == "kgen"]
    assert len(alone) == 4
    nodes = onnx.load(MODEL).graph.node
    in_graph = sum(node.op_type == "Conv" for node in nodes)
    assert in_graph - 2 <= len(convolutions(engines[precision])) <= in_graph


def test_half_precision_moves_half_as_much(engines: dict[str, list[Layer]]) -> None:
    """No convolution before the last one reads or writes floats of 32 bits."""
    *body, last = convolutions(engines["fp16"])
    types = {tensor.type for layer in body for tensor in (*layer.inputs, *layer.outputs)}
    assert types == {"Half"}
    assert {tensor.type for tensor in last.outputs} == {"Float"}
    assert moved(engines["fp16"]) < 0.55 * moved(engines["fp32"])


def test_integers_would_move_more_than_floats(engines: dict[str, list[Layer]]) -> None:
    """Why there is no engine in 8 bits: its convolutions read integers and write floats.

    Should another TensorRT fuse the rounding, this fails, and it is time to offer one.
    """
    written = {tensor.type for layer in convolutions(engines["int8"]) for tensor in layer.outputs}
    assert written == {"Float"}
    assert moved(engines["int8"]) > moved(engines["fp32"]) > moved(engines["fp16"])


def test_every_option_is_known_to_both(
    build: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    """TensorRT's own bindings know them (`test_tensorrt`), and this one all but one.

    The engine for several kinds of GPU can be built by TensorRT alone.
    """
    assert build.build(onnx.load(MODEL), hardware_compatible=True)
    warnings = [line for line in capfd.readouterr().err.splitlines() if "unsupported" in line]
    assert warnings == ["TensorRT: setHardwareCompatibilityLevel() is unsupported in TensorRT-RTX."]


def test_plans_of_either_library_are_told_apart(build: ModuleType) -> None:
    plan = build.build(onnx.load(MODEL))
    refuse_foreign(plan, "TensorRT-RTX")
    with pytest.raises(EngineError, match="built by TensorRT-RTX, and TensorRT does not"):
        refuse_foreign(plan, "TensorRT")
    with pytest.raises(EngineError, match="built by TensorRT, and TensorRT-RTX does not"):
        refuse_foreign(b"ftrt" + plan[4:], "TensorRT-RTX")


def test_a_build_that_runs_out_of_memory_says_so(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Narrow(build.trt.Builder):  # type: ignore[misc]
        def create_builder_config(self) -> Any:
            config = super().create_builder_config()
            config.set_memory_pool_limit(build.trt.MemoryPoolType.WORKSPACE, 1 << 20)
            return config

    monkeypatch.setattr(build.trt, "Builder", Narrow)
    with pytest.raises(EngineError, match="ran out of memory during the build: stop what else"):
        build.build(onnx.load(MODEL))


def test_a_graph_that_tensorrt_cannot_read_is_refused_with_its_reason(build: ModuleType) -> None:
    model = onnx.load(MODEL)
    model.graph.node.append(helper.make_node("Astrology", ["DENSITY"], ["FATE"], domain="example"))
    with pytest.raises(build.EngineError, match="Astrology"):
        build.build(model)


def test_an_interrupt_ends_the_build(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build.Progress, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build.build(onnx.load(MODEL))
