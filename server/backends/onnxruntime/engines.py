"""The engines that run a network on a CPU, set as `config.pbtxt` says; Triton has no part in them.

`config` is always a model's configuration as Triton hands it to a backend: `config.pbtxt` as JSON.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Config = Mapping[str, Any]

# Dot products of bytes, as /proc/cpuinfo calls them on x86 and ARM. Without them a network of
# 8-bit integers is no faster than one of floats.
INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "asimddp"}


class Network(Protocol):
    """A network, ready to run on arrays by the names of its inputs and outputs."""

    gains_from_batches: bool

    def run(self, inputs: Arrays, outputs: list[str]) -> list[NDArray[Any]]: ...


def open_network(folder: Path, config: Config) -> Network:
    """The network of a version's folder, in the engine that the configuration names.

    Raises:
        FileNotFoundError: the folder lacks the file.
        ValueError: a parameter is not what it should be.
    """
    model = model_file(folder, config)
    if not model.is_file():
        raise FileNotFoundError(f"{model} does not exist")
    return (OpenVino if "openvino" in _cpu_accelerators(config) else OnnxRuntime)(model, config)


def model_file(folder: Path, config: Config) -> Path:
    """The ONNX file to load: the one in floats where this CPU is slow with 8-bit integers."""
    model = folder / (config.get("default_model_filename") or "model.onnx")
    in_floats = model.with_name(model.name.replace(".int8.onnx", ".onnx"))
    if in_floats != model and not INT8_INSTRUCTIONS & _cpu_flags() and in_floats.is_file():
        return in_floats
    return model


class OnnxRuntime:
    """The network on onnxruntime's CPU provider."""

    gains_from_batches = True

    def __init__(self, model: Path, config: Config) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _parameter(config, "intra_op_thread_count")
        options.inter_op_num_threads = _parameter(config, "inter_op_thread_count")
        if _parameter(config, "execution_mode") == 1:
            options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        options.graph_optimization_level = _optimization_level(
            config, onnxruntime.GraphOptimizationLevel
        )
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

    def __init__(self, model: Path, config: Config) -> None:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # sends at its import
        import openvino

        options = {
            "NUM_STREAMS": 1,  # Triton's instances are the streams
            "INFERENCE_NUM_THREADS": _parameter(config, "intra_op_thread_count"),
            "INFERENCE_PRECISION_HINT": "f32",  # as exported, also where the CPU offers bf16
            "ENABLE_CPU_PINNING": False,  # instances and neighbours would pin the same cores
        }
        core = openvino.Core()
        graph = core.read_model(model)
        self.batched = is_batched(config)
        if self.batched:
            graph.reshape(
                {value["name"]: [1, *map(int, value["dims"])] for value in config["input"]}
            )
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


def is_batched(config: Config) -> bool:
    """Whether a first dimension that the configuration does not mention counts examples."""
    return bool(config.get("max_batch_size", 0))


def _cpu_flags() -> set[str]:
    """The instruction sets of this CPU, as Linux calls them."""
    return set(Path("/proc/cpuinfo").read_text().split())


def _parameter(config: Config, name: str) -> int:
    """A parameter of the native backend; 0, its default, leaves the choice to the engine."""
    text = config.get("parameters", {}).get(name, {}).get("string_value", "0")
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"parameter {name} is a whole number, not {text!r}") from error


def _optimization_level(config: Config, levels: Any) -> Any:
    """`optimization.graph.level`: −1 basic, 1 (like 0) extended, 2 none; all when unset."""
    graph = config.get("optimization", {}).get("graph")
    if graph is None:
        return levels.ORT_ENABLE_ALL
    return {
        -1: levels.ORT_ENABLE_BASIC,
        1: levels.ORT_ENABLE_EXTENDED,
        2: levels.ORT_DISABLE_ALL,
    }.get(graph.get("level", 0), levels.ORT_ENABLE_ALL)


def _cpu_accelerators(config: Config) -> list[str]:
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    return [entry["name"] for entry in accelerators.get("cpu_execution_accelerator", [])]
