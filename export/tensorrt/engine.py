"""A plan at work on the GPU: its maps, and its speed. Import after `load_tensorrt`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from export.parity import OUTPUTS, Densities, Extents, Pixels
from export.tensorrt.build import Log, started
from export.tensorrt.machine import EngineError
from export.tensorrt.plan import MAX_BATCH, refuse_foreign

WARM_UP, RUNS = 20, 200


class Engine:
    """Made by `loaded`."""

    def __init__(
        self, context: trt.IExecutionContext, stream: Any, buffers: dict[str, int]
    ) -> None:
        self.context = context
        self.stream = stream
        self.buffers = buffers  # on the GPU, by the name of the tensor

    def predict(self, pixels: Pixels, extent: Extents) -> list[Densities]:
        """The maps [N, grid, grid] that the ONNX graph gives, in the order of `OUTPUTS`."""
        inputs: dict[str, NDArray[Any]] = {"PIXELS": pixels, "EXTENT": extent}
        for name, array in inputs.items():
            if not self.context.set_input_shape(name, array.shape):
                raise EngineError(f"the plan takes no {name} of shape {list(array.shape)}")
            data = np.ascontiguousarray(array)
            kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
            _done(cuda.cudaMemcpy(self.buffers[name], data.ctypes.data, data.nbytes, kind))
        self._enqueue()
        _done(cuda.cudaStreamSynchronize(self.stream))
        return [self._fetched(name) for name in OUTPUTS if name in self.buffers]

    def milliseconds(self, pixels: Pixels, extent: Extents) -> float:
        """Mean time of a batch on the GPU alone, without copies."""
        self.predict(pixels, extent)
        start, stop = _done(cuda.cudaEventCreate()), _done(cuda.cudaEventCreate())
        for _ in range(WARM_UP):
            self._enqueue()
        _done(cuda.cudaEventRecord(start, self.stream))
        for _ in range(RUNS):
            self._enqueue()
        _done(cuda.cudaEventRecord(stop, self.stream))
        _done(cuda.cudaEventSynchronize(stop))
        return float(_done(cuda.cudaEventElapsedTime(start, stop))) / RUNS

    def _fetched(self, name: str) -> Densities:
        result = np.empty(tuple(self.context.get_tensor_shape(name)), np.float32)
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _done(cuda.cudaMemcpy(result.ctypes.data, self.buffers[name], result.nbytes, kind))
        return result

    def _enqueue(self) -> None:
        if not self.context.execute_async_v3(int(self.stream)):
            raise EngineError("TensorRT did not run the plan")


@contextmanager
def loaded(plan: bytes) -> Iterator[Engine]:
    """The engine of a plan that was built here.

    Raises:
        EngineError: TensorRT does not load it, or CUDA fails.
    """
    refuse_foreign(plan, "TensorRT")
    log = Log()
    runtime = started(trt.Runtime, log)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(f"TensorRT does not load the plan: {log.reasons()}")
    context = engine.create_execution_context()
    stream = _done(cuda.cudaStreamCreate())
    buffers: dict[str, int] = {}
    try:
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            cells = MAX_BATCH * int(np.prod(list(engine.get_tensor_shape(name))[1:]))
            size = cells * np.dtype(trt.nptype(engine.get_tensor_dtype(name))).itemsize
            buffers[name] = int(_done(cuda.cudaMalloc(size)))
            context.set_tensor_address(name, buffers[name])
        yield Engine(context, stream, buffers)
    finally:
        for buffer in buffers.values():
            cuda.cudaFree(buffer)
        cuda.cudaStreamDestroy(stream)


def _done(result: tuple[Any, ...]) -> Any:
    """What a call of CUDA gave besides its status.

    Raises:
        EngineError: the call failed.
    """
    status, *values = result
    if status == cuda.cudaError_t.cudaErrorInsufficientDriver:
        raise EngineError(
            "the NVIDIA driver is older than the installed cuda-bindings: install those of the "
            "driver's CUDA version (see nvidia-smi), such as pip install 'cuda-bindings<13'"
        )
    if status != cuda.cudaError_t.cudaSuccess:
        raise EngineError(f"CUDA: {cuda.cudaGetErrorString(status)[1].decode()}")
    return values[0] if values else None
