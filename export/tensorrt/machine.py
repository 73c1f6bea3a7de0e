"""What this machine has: GPUs, and TensorRT. Needs no package and no GPU to say so.

All of it is asked for before TensorRT is touched: without a driver, reading a plan ends the
process without a word.
"""

import contextlib
import ctypes
import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

MAJORS = (10, 11)  # versions of TensorRT that this package is written for
BINDINGS = "tensorrt-cu12-bindings"  # on PyPI; binds to no CUDA, so it serves CUDA 13, too

# Of CUdevice_attribute, in cuda.h
COMPUTE_CAPABILITY_MAJOR = 75
COMPUTE_CAPABILITY_MINOR = 76


class EngineError(Exception):
    """The machine or the plan does not fit; the message says what to do."""


@dataclass(frozen=True)
class Gpu:
    name: str
    compute_capability: str  # "9.0"


def gpus() -> list[Gpu]:
    """The GPUs that CUDA offers this process; at least one.

    Raises:
        EngineError: no driver, or no GPU.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EngineError(
            "there is no NVIDIA driver here (no libcuda.so.1): run this on a GPU machine, a "
            "container with `--gpus all`, a pod with the resource nvidia.com/gpu"
        ) from error
    _call(cuda, "cuInit", 0)
    count = ctypes.c_int()
    _call(cuda, "cuDeviceGetCount", ctypes.byref(count))
    if count.value == 0:
        raise EngineError(
            "the NVIDIA driver offers no GPU: see nvidia-smi and CUDA_VISIBLE_DEVICES"
        )
    return [_gpu(cuda, index) for index in range(count.value)]


def _gpu(cuda: Any, index: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    _call(cuda, "cuDeviceGet", ctypes.byref(device), index)
    _call(cuda, "cuDeviceGetName", name, len(name), device)
    numbers = []
    for attribute in (COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR):
        number = ctypes.c_int()
        _call(cuda, "cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
        numbers.append(str(number.value))
    return Gpu(name.value.decode(), ".".join(numbers))


def _call(cuda: Any, function: str, *arguments: object) -> None:
    code = getattr(cuda, function)(*arguments)
    if code == 0:
        return
    text = ctypes.c_char_p()
    cuda.cuGetErrorString(code, ctypes.byref(text))
    reason = (text.value or b"unknown").decode()
    raise EngineError(f"the NVIDIA driver does not work: {function} says {code}, {reason}")


def served_version() -> str | None:
    """Version of the TensorRT library that a server here would load, as "11.4.0"."""
    for major in reversed(MAJORS):
        with contextlib.suppress(OSError):
            number: int = ctypes.CDLL(f"libnvinfer.so.{major}").getInferLibVersion()
            return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    return None


def load_tensorrt() -> ModuleType:
    """TensorRT's Python package, checked; afterwards it can be imported as `tensorrt`.

    The bindings alone, without the libraries that `pip install tensorrt` would bring along,
    are enough beside a server's libraries, and cannot differ from them.

    Raises:
        EngineError: it is not installed, has no libraries, is of another version than the
            server's, or of one that this package was not written for.
    """
    served = served_version()
    module = _import_tensorrt(served)
    version = str(module.__version__)
    if int(version.split(".")[0]) not in MAJORS:
        raise EngineError(f"TensorRT {version} is installed; this needs version 10 or 11")
    if served is not None and release(version) != served:
        raise EngineError(
            f"TensorRT's Python package is of version {version}, the server's library of "
            f"{served}, which would not load the plan: {_install(served)}"
        )
    sys.modules["tensorrt"] = module
    return module


def _import_tensorrt(served: str | None) -> ModuleType:
    for name in ("tensorrt", "tensorrt_bindings"):
        try:
            return importlib.import_module(name)
        except ImportError as error:
            if error.name != name:
                raise EngineError(
                    f"TensorRT's libraries are missing or of another version: {error}"
                ) from error
    raise EngineError(f"TensorRT's Python package is not installed: {_install(served)}")


def _install(served: str | None) -> str:
    if served is None:
        return "no server's library is here either; pip install tensorrt, of the server's version"
    return f"pip install '{BINDINGS}=={served}.*'"


def release(version: str) -> str:
    """ "11.4.0.106" → "11.4.0": plans are bound to no more than these three numbers."""
    return ".".join(version.split(".")[:3])
