"""Stand-ins for what NVIDIA supplies: the driver, CUDA's runtime, and TensorRT's bindings.

The engine is onnxruntime's and GPU memory is the computer's own, so what lies between can be
tested for what it computes. That the bindings are as imitated here, `test_tensorrt` checks
against the real ones' types.
"""

import ctypes
import enum
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

H100 = ("NVIDIA H100", 9, 0)


def libraries(**found: object) -> Callable[[str], object]:
    """A `ctypes.CDLL` that finds these alone, named without their endings: `libcuda=…`."""

    def load(name: str) -> object:
        if name.split(".")[0] in found and name.endswith((".1", ".11")):
            return found[name.split(".")[0]]
        raise OSError(f"{name}: cannot open shared object file")

    return load


class Driver:
    """libcuda, with `devices` of name and compute capability; `status` is what cuInit says."""

    def __init__(self, *devices: tuple[str, int, int], status: int = 0) -> None:
        self.devices = devices
        self.status = status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuGetErrorString(self, code: int, text: Any) -> int:  # noqa: N802
        text._obj.value = b"no CUDA-capable device is detected"
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.devices)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = self.devices[device.value][0].encode()
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self.devices[device.value][{75: 1, 76: 2}[attribute]]
        return 0


def nvinfer(version: int) -> SimpleNamespace:
    """libnvinfer; version 110400 is 11.4.0."""
    return SimpleNamespace(getInferLibVersion=lambda: version)


class CudaError(enum.Enum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorMemoryAllocation = 2  # noqa: N815
    cudaErrorInsufficientDriver = 35  # noqa: N815


def cuda_runtime() -> ModuleType:
    """`cuda.bindings.runtime`, whose every function returns a tuple that begins with a status."""
    memory: dict[int, Any] = {}

    def malloc(size: int) -> tuple[CudaError, int]:
        block = ctypes.create_string_buffer(size)
        memory[ctypes.addressof(block)] = block
        return CudaError.cudaSuccess, ctypes.addressof(block)

    def free(address: int) -> tuple[CudaError]:
        del memory[address]
        return (CudaError.cudaSuccess,)

    def memcpy(target: int, source: int, size: int, kind: str) -> tuple[CudaError]:
        on_device = target if kind == "to device" else source
        assert size <= len(memory[on_device])
        ctypes.memmove(target, source, size)
        return (CudaError.cudaSuccess,)

    def done(*results: object) -> Callable[..., tuple[object, ...]]:
        return lambda *arguments: (CudaError.cudaSuccess, *results)

    module = ModuleType("cuda.bindings.runtime")
    vars(module).update(
        memory=memory,
        cudaError_t=CudaError,
        cudaMemcpyKind=SimpleNamespace(
            cudaMemcpyHostToDevice="to device", cudaMemcpyDeviceToHost="to host"
        ),
        cudaGetErrorString=lambda status: (CudaError.cudaSuccess, b"out of memory"),
        cudaMalloc=malloc,
        cudaFree=free,
        cudaMemcpy=memcpy,
        cudaStreamCreate=done(1),
        cudaStreamSynchronize=done(),
        cudaStreamDestroy=done(),
        cudaEventCreate=done("event"),
        cudaEventRecord=done(),
        cudaEventSynchronize=done(),
        cudaEventElapsedTime=done(8.0),
    )
    return module


class TensorRT(ModuleType):
    """`tensorrt`. What tests change or look at are its attributes."""

    def __init__(self, version: str = "11.4.0.106") -> None:
        super().__init__("tensorrt")
        self.__version__ = version
        self.build_error = ""
        self.starts = True
        self.distort: Callable[[NDArray[Any]], NDArray[Any]] = lambda told: told
        self.distorted = {"DENSITY"}
        self.on_build: Callable[[Any], None] = lambda monitor: None
        self.config: Any = None
        self.network_flags = 0
        self.profile: dict[str, list[tuple[int, ...]]] = {}

        trt = self
        self.ILogger = ILogger
        self.IProgressMonitor = type("IProgressMonitor", (), {})
        self.NetworkDefinitionCreationFlag = enum.IntEnum("Flag", {"STRONGLY_TYPED": 1})
        self.ProfilingVerbosity = enum.Enum("ProfilingVerbosity", ["DETAILED"])
        self.HardwareCompatibilityLevel = enum.Enum("Level", ["NONE", "AMPERE_PLUS"])
        for name in ("INetworkDefinition", "IBuilderConfig", "IOptimizationProfile"):
            setattr(self, name, object)
        self.IExecutionContext = Context
        self.Dims = tuple
        self.Builder = lambda logger: Builder(trt, logger)
        self.OnnxParser = lambda network, logger: Parser(trt, network)
        self.Runtime = lambda logger: Runtime(trt, logger)

    def nptype(self, kind: int) -> Any:
        return onnx.helper.tensor_dtype_to_np_dtype(kind)


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3


class Builder:
    def __init__(self, trt: TensorRT, logger: Any) -> None:
        self.trt, self.logger = trt, logger
        if not trt.starts:
            logger.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 999")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int) -> Any:
        self.trt.network_flags = flags
        return SimpleNamespace(model=None)

    def create_builder_config(self) -> Any:
        self.trt.config = Config()
        return self.trt.config

    def create_optimization_profile(self) -> Any:
        def set_shape(name: str, *shapes: tuple[int, ...]) -> None:
            self.trt.profile[name] = list(shapes)

        return SimpleNamespace(set_shape=set_shape)

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        self.trt.on_build(config.progress_monitor)
        if self.trt.build_error:
            self.logger.log(ILogger.Severity.ERROR, self.trt.build_error)
            return None
        return bytes(network.model.SerializeToString())


class Config:
    def __init__(self) -> None:
        self.hardware_compatibility_level: Any = None
        self.progress_monitor: Any = None

    def add_optimization_profile(self, profile: Any) -> int:
        return 0


class Parser:
    def __init__(self, trt: TensorRT, network: Any) -> None:
        self.trt, self.network = trt, network

    def parse(self, data: bytes) -> bool:
        model = onnx.load_from_string(data)
        inputs = [
            SimpleNamespace(
                name=value.name,
                shape=[dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim],
            )
            for value in model.graph.input
        ]
        self.network.model = model
        self.network.num_inputs = len(inputs)
        self.network.get_input = inputs.__getitem__
        return True


class Runtime:
    def __init__(self, trt: TensorRT, logger: Any) -> None:
        self.trt, self.logger = trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        model = onnx.load_from_string(plan)
        tensors = {value.name: value for value in (*model.graph.input, *model.graph.output)}
        kinds = {name: value.type.tensor_type for name, value in tensors.items()}
        return SimpleNamespace(
            num_io_tensors=len(tensors),
            get_tensor_name=list(tensors).__getitem__,
            get_tensor_shape=lambda name: [dim.dim_value or -1 for dim in kinds[name].shape.dim],
            get_tensor_dtype=lambda name: kinds[name].elem_type,
            create_execution_context=lambda: Context(self.trt, plan, kinds),
        )


class Context:
    def __init__(self, trt: TensorRT, plan: bytes, kinds: dict[str, Any]) -> None:
        self.trt, self.kinds = trt, kinds
        self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        smallest, _, largest = self.trt.profile[name]
        fits = all(low <= x <= high for low, x, high in zip(smallest, shape, largest, strict=True))
        if fits:
            self.shapes[name] = shape
        return fits

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def get_tensor_shape(self, name: str) -> list[int]:
        return [self.shapes["PIXELS"][0], *(d.dim_value for d in self.kinds[name].shape.dim[1:])]

    def execute_async_v3(self, stream: int) -> bool:
        inputs = {name: self._read(name, shape) for name, shape in self.shapes.items()}
        names = [output.name for output in self.session.get_outputs()]
        for name, map_ in zip(names, self.session.run(names, inputs), strict=True):
            told = self.trt.distort(map_) if name in self.trt.distorted else map_
            ctypes.memmove(self.addresses[name], told.ctypes.data, told.nbytes)
        return True

    def _read(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        dtype = np.dtype(self.trt.nptype(self.kinds[name].elem_type))
        size = int(np.prod(shape)) * dtype.itemsize
        data = (ctypes.c_char * size).from_address(self.addresses[name])
        return np.frombuffer(data, dtype).reshape(shape)
