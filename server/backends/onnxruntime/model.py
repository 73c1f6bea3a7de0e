"""Triton's `onnxruntime` backend, written in Python on the packages from PyPI.

It reads the same keys of `config.pbtxt` as the native backend in NVIDIA's container, so that
one model repository serves both: the parameters `intra_op_thread_count`,
`inter_op_thread_count` and `execution_mode`, `optimization.graph.level`, the CPU execution
accelerator `openvino`, and `default_model_filename`. Where that names a network of 8-bit integers
(`NAME.int8.onnx`) and the CPU has no instructions for them, it loads `NAME.onnx` beside it.
"""

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

# Dot products of bytes, as /proc/cpuinfo calls them on x86 and ARM. Without them a network of
# 8-bit integers is no faster than one of floats.
INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "asimddp"}

TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(double)": "TYPE_FP64",
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(string)": "TYPE_STRING",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(uint8)": "TYPE_UINT8",
}


class Network(Protocol):
    gains_from_batches: bool

    def run(self, inputs: Arrays, outputs: list[str]) -> list[NDArray[Any]]: ...


class OnnxRuntime:
    """The network on onnxruntime's CPU provider."""

    gains_from_batches = True

    def __init__(self, model: Path, config: dict[str, Any]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _parameter(config, "intra_op_thread_count")
        options.inter_op_num_threads = _parameter(config, "inter_op_thread_count")
        if _parameter(config, "execution_mode") == 1:
            options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        options.graph_optimization_level = _optimization_level(config)
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Arrays, outputs: list[str]) -> list[NDArray[Any]]:
        results: list[NDArray[Any]] = self.session.run(outputs, inputs)
        return results


class OpenVino:
    """The network on OpenVINO's CPU plugin, for the execution accelerator of that name.

    A batch runs one example after another, on a graph of fixed shapes: on one thread that takes
    a fifth less time than the batch as a whole, whose activations leave the cache.
    """

    gains_from_batches = False

    def __init__(self, model: Path, config: dict[str, Any]) -> None:
        import openvino

        options = {
            "NUM_STREAMS": 1,  # Triton's instances are the streams
            "INFERENCE_NUM_THREADS": _parameter(config, "intra_op_thread_count"),
            "INFERENCE_PRECISION_HINT": "f32",  # as exported, also where the CPU offers bf16
            "ENABLE_CPU_PINNING": False,  # instances and neighbours would pin the same cores
        }
        core = openvino.Core()
        graph = core.read_model(model)
        self.batched = config["max_batch_size"] > 0
        if self.batched:
            graph.reshape({port: [1, *list(port.partial_shape)[1:]] for port in graph.inputs})
        self.request = core.compile_model(graph, "CPU", options).create_infer_request()
        self.tensor = openvino.Tensor

    def run(self, inputs: Arrays, outputs: list[str]) -> list[NDArray[Any]]:
        size = len(next(iter(inputs.values()))) if self.batched else 1
        if size == 1:
            return self._run(inputs, outputs)
        results = [
            self._run({name: array[i : i + 1] for name, array in inputs.items()}, outputs)
            for i in range(size)
        ]
        return [np.concatenate(parts) for parts in zip(*results, strict=True)]

    def _run(self, inputs: Arrays, outputs: list[str]) -> list[NDArray[Any]]:
        for name, array in inputs.items():
            self.request.set_tensor(name, self.tensor(array, shared_memory=True))
        self.request.infer()
        return [self.request.get_tensor(name).data.copy() for name in outputs]


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Fill in the inputs and outputs that the configuration leaves out."""
        config = auto_complete_model_config.as_dict()
        model = _model_file(Path(pb_utils.get_model_dir()), config)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        batched = config["max_batch_size"] > 0
        for tensor in session.get_inputs():
            auto_complete_model_config.add_input(_describe(tensor, batched))
        for tensor in session.get_outputs():
            auto_complete_model_config.add_output(_describe(tensor, batched))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        model = _model_file(Path(args["model_repository"]) / args["model_version"], config)
        if not model.is_file():
            raise pb_utils.TritonModelException(f"{model} does not exist")
        pb_utils.Logger.log_info(f"loading {model}")
        engine = OpenVino if "openvino" in _cpu_accelerators(config) else OnnxRuntime
        self.network: Network = engine(model, config)
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.batched = config["max_batch_size"] > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        if not (self.batched and self.network.gains_from_batches):
            return [_respond(self._run([request])) for request in requests]
        sizes = [_tensor(request, self.inputs[0]).shape[0] for request in requests]
        edges = np.cumsum(sizes)[:-1]
        results = self._run(requests)
        parts = {name: np.split(array, edges) for name, array in results.items()}
        return [
            _respond({name: arrays[index] for name, arrays in parts.items()})
            for index in range(len(requests))
        ]

    def _run(self, requests: list[Any]) -> Arrays:
        """One run of the network over all requests."""
        inputs = {}
        for name in self.inputs:
            arrays = [_tensor(request, name) for request in requests]
            inputs[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        return dict(zip(self.outputs, self.network.run(inputs, self.outputs), strict=True))


def _tensor(request: Any, name: str) -> NDArray[Any]:
    array: NDArray[Any] = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    return array


def _respond(arrays: Arrays) -> Any:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in arrays.items()]
    )


def _describe(tensor: Any, batched: bool) -> dict[str, Any]:
    dims = [side if isinstance(side, int) else -1 for side in tensor.shape]
    return {
        "name": tensor.name,
        "data_type": TRITON_TYPES[tensor.type],
        "dims": dims[1:] if batched else dims,
    }


def _model_file(folder: Path, config: dict[str, Any]) -> Path:
    model = folder / (config.get("default_model_filename") or "model.onnx")
    in_floats = model.with_name(model.name.replace(".int8.onnx", ".onnx"))
    if in_floats != model and not INT8_INSTRUCTIONS & cpu_flags() and in_floats.is_file():
        return in_floats
    return model


def cpu_flags() -> set[str]:
    """The instruction sets of this CPU, as Linux calls them."""
    return set(Path("/proc/cpuinfo").read_text().split())


def _parameter(config: dict[str, Any], name: str) -> int:
    """A parameter of the native backend; 0, its default, leaves the choice to the engine."""
    try:
        return int(config["parameters"].get(name, {"string_value": "0"})["string_value"])
    except ValueError as error:
        raise pb_utils.TritonModelException(f"parameter {name} is not a whole number") from error


def _optimization_level(config: dict[str, Any]) -> Any:
    """`optimization.graph.level`: −1 basic, 1 (like 0) extended, 2 all; all when unset."""
    levels = onnxruntime.GraphOptimizationLevel
    graph = config.get("optimization", {}).get("graph")
    if graph is None:
        return levels.ORT_ENABLE_ALL
    return {
        -1: levels.ORT_ENABLE_BASIC,
        1: levels.ORT_ENABLE_EXTENDED,
        2: levels.ORT_DISABLE_ALL,
    }.get(graph.get("level", 0), levels.ORT_ENABLE_ALL)


def _cpu_accelerators(config: dict[str, Any]) -> list[str]:
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    return [entry["name"] for entry in accelerators.get("cpu_execution_accelerator", [])]
