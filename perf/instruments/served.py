"""The served code and model repository, used in this process without Triton."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from google.protobuf import text_format  # type: ignore[import-untyped]
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.backends.onnxruntime.engines import Arrays, model_file, open_network
from server.embedded import MODEL_REPOSITORY

PREPROCESS, NETWORK = "preprocess", "student"
NETWORK_FOLDER = MODEL_REPOSITORY / NETWORK / "1"

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Size = tuple[int, int]


def config(model: str) -> dict[str, Any]:
    """A model's configuration on CPU, as Triton hands it to a backend."""
    text = (MODEL_REPOSITORY / model / "config.pbtxt").read_text("utf-8")
    message = text_format.Parse(text, ModelConfig())
    as_dict: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return as_dict


def network_file() -> Path:
    """The ONNX file that the embedded server loads on this CPU."""
    return model_file(NETWORK_FOLDER, config(NETWORK))


class InProcess:
    """The ensemble's steps as functions, on one thread.

    Attributes:
        unusable: what they raise of a file that is no photo.
    """

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._photo = _photo_module()
        self.unusable: type[Exception] = self._photo.Unusable
        pixels = next(out for out in config(PREPROCESS)["output"] if out["name"] == "PIXELS")
        self._canvas = int(pixels["dims"][0])
        self._network = open_network(NETWORK_FOLDER, config(NETWORK))

    def preprocess(self, upload: bytes) -> tuple[Pixels, Size, Size]:
        """The network's input: pixels, extent (height, width); and the photo's (width, height)."""
        photo = self._photo.load(upload, self._canvas)
        return photo.pixels, photo.extent, photo.size

    def network(self, pixels: Pixels, extent: Size) -> tuple[Map, Map]:
        """Where people look, and the cells' integrity, float32 [h, w] each."""
        inputs: Arrays = {"PIXELS": pixels[None], "EXTENT": np.array([extent], np.int32)}
        density, integrity = self._network.run(inputs, ["DENSITY", "INTEGRITY"])
        return np.asarray(density[0], np.float32), np.asarray(integrity[0], np.float32)

    def predict(self, upload: bytes) -> tuple[Map, Size, Map]:
        """The density of an upload, the photo's (width, height), and the integrity."""
        pixels, extent, size = self.preprocess(upload)
        density, integrity = self.network(pixels, extent)
        return density, size, integrity


def _photo_module() -> ModuleType:
    """The preprocessing step's `photo.py`, which is no part of a package."""
    folder = str(MODEL_REPOSITORY / PREPROCESS / "1")
    if folder not in sys.path:  # as in Triton, which runs the step there
        sys.path.append(folder)
    return import_module("photo")
