"""What the model repository says, and copies of it that say something else."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig

MODELS = Path(__file__).parents[1] / "model_repository"
PREPROCESS, NETWORK = "preprocess", "student"

# Without one of these the embedded server loads model.onnx in the place of model.int8.onnx.
INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "asimddp"}


def config(model: str, repository: Path = MODELS) -> Any:
    """A model's configuration on CPU, as the protobuf message `ModelConfig`."""
    return text_format.Parse(
        (repository / model / "config.pbtxt").read_text("utf-8"), ModelConfig()
    )


def network_file() -> Path:
    """The ONNX file that the embedded server loads on this CPU."""
    file = MODELS / NETWORK / "1" / (config(NETWORK).default_model_filename or "model.onnx")
    if INT8_INSTRUCTIONS & set(Path("/proc/cpuinfo").read_text("utf-8").split()):
        return file
    return file.with_name(file.name.replace(".int8.onnx", ".onnx"))


def canvas() -> int:
    """The side in pixels of the square that preprocessing hands to the network."""
    pixels = next(output for output in config(PREPROCESS).output if output.name == "PIXELS")
    return int(pixels.dims[0])


def photo_module() -> ModuleType:
    """The preprocessing step's `photo.py`, which is no part of a package."""
    spec = spec_from_file_location("photo", MODELS / PREPROCESS / "1" / "photo.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
