"""Triton's `onnxruntime` backend, written in Python on the packages from PyPI.

It reads the same keys of `config.pbtxt` as the native backend in NVIDIA's container, so that
one model repository serves both: the parameters `intra_op_thread_count`,
`inter_op_thread_count` and `execution_mode`, `optimization.graph.level`, the CPU execution
accelerator `openvino`, and `default_model_filename`. Where that names a network of 8-bit integers
(`NAME.int8.onnx`) and the CPU has no instructions for them, it loads `NAME.onnx` beside it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from engines import is_batched, model_file, open_network
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

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


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Fill in the inputs and outputs that the configuration leaves out."""
        import onnxruntime

        config = auto_complete_model_config.as_dict()
        model = model_file(Path(pb_utils.get_model_dir()), config)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        batched = is_batched(config)
        for tensor in session.get_inputs():
            auto_complete_model_config.add_input(_describe(tensor, batched))
        for tensor in session.get_outputs():
            auto_complete_model_config.add_output(_describe(tensor, batched))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        pb_utils.Logger.log_info(f"loading {model_file(folder, config)}")
        self.network = open_network(folder, config)
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.batched = is_batched(config)

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
