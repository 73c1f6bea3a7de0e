"""What the layers of an engine compute in and move, as TensorRT's builder reports them.

    python -m export.tensorrt.layers        # a table of both precisions and of 8 bits, on a CPU

It needs no GPU: TensorRT-RTX, the TensorRT of desktop GPUs, builds engines without one, in the
extra `tensorrt-rtx`. Each layer that is not a mere wait is a kernel, and its activations go through
the GPU's memory: an engine that moves more of them is slower wherever memory is the limit, which
it is for a network of so few multiplications.
"""

import importlib
import math
import re
import sys
from dataclasses import dataclass
from types import ModuleType

import onnx

from export.parity import MODEL
from export.tensorrt.machine import EngineError

SIZES = {"Float": 4, "Int32": 4, "Half": 2, "Int8": 1, "UInt8": 1}  # bytes
LAYER = re.compile(
    r"Name: (?P<name>\S+), LayerType: (?P<kind>\w+), Inputs: (?P<inputs>.*?), Constants: .*?, "
    r"Outputs: (?P<outputs>.*?), TacticName: "
)
TENSOR = re.compile(r"Dimensions: \[-1,(?P<sides>[\d,]+)\].*?Datatype: (?P<type>\w+)")


@dataclass(frozen=True)
class Activations:
    """One tensor of one photo."""

    type: str
    sides: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return SIZES[self.type] * math.prod(self.sides)


@dataclass(frozen=True)
class Layer:
    name: str
    kind: str  # "correlation" is a convolution, with what is fused to it
    inputs: tuple[Activations, ...]
    outputs: tuple[Activations, ...]

    @property
    def bytes(self) -> int:
        """Read and written for one photo."""
        return sum(tensor.bytes for tensor in (*self.inputs, *self.outputs))


def kernels(report: str) -> list[Layer]:
    """The layers that compute something, from the builder's verbose log."""
    layers = [
        Layer(found["name"], found["kind"], _tensors(found["inputs"]), _tensors(found["outputs"]))
        for found in LAYER.finditer(report)
    ]
    return [layer for layer in layers if layer.outputs]


def _tensors(text: str) -> tuple[Activations, ...]:
    return tuple(
        Activations(found["type"], tuple(map(int, found["sides"].split(","))))
        for found in TENSOR.finditer(text)
    )


def load_tensorrt_rtx() -> ModuleType:
    """TensorRT-RTX's Python package; afterwards it can be imported as `tensorrt`.

    Raises:
        EngineError: it is not installed.
    """
    try:
        importlib.import_module("tensorrt_rtx_libs")  # which loads them
        module = importlib.import_module("tensorrt_rtx_bindings")
    except ImportError as error:
        raise EngineError(
            f"TensorRT-RTX is not here ({error}): pip install '.[tensorrt-rtx]'"
        ) from error
    sys.modules["tensorrt"] = module
    return module


def main() -> None:
    try:
        load_tensorrt_rtx()
    except EngineError as error:
        sys.exit(f"error: {error}")
    from export.fp16 import to_fp16  # only now: what builds needs TensorRT
    from export.tensorrt.build import Log, build

    model = onnx.load(MODEL)
    integers = onnx.load(MODEL.with_name("model.int8.onnx"))
    graphs = {"float32": model, "float16": to_fp16(model), "8-bit integers": integers}
    rows = []
    for name, graph in graphs.items():
        log = Log()
        build(graph, log=log)
        layers = kernels(log.layers)
        written = {
            tensor.type
            for layer in layers
            if layer.kind == "correlation"
            for tensor in layer.outputs
        }
        moved = sum(layer.bytes for layer in layers) / 1e6
        rows.append(f"| {name} | {len(layers)} | {', '.join(sorted(written))} | {moved:.1f} |")
    print("| graph | kernels | convolutions write | MB of activations a photo |")
    print("|---|--:|---|--:|", *rows, sep="\n")


if __name__ == "__main__":
    main()
