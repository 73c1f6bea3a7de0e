"""The ensemble's first step. Each request is answered by itself: a broken upload fails alone."""

import json
import time
import traceback
from collections.abc import Sequence
from typing import Any

import cv2
import metrics
import numpy as np
import photo
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        pixels = pb_utils.get_output_config_by_name(config, "PIXELS")
        self.student = config["parameters"]["student"]["string_value"].encode()
        self.canvas = int(pixels["dims"][0])
        cv2.setNumThreads(1)  # the instances share the cores already
        self.metrics = metrics.Metrics()
        self.decoder = _decoder(config, args)

    def execute(self, requests: list[Any]) -> list[Any]:
        batch = [
            list(pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().ravel())
            for request in requests
        ]
        ready = iter(self._decoded([upload for uploads in batch for upload in uploads]))
        return [
            self._respond(request, [(upload, next(ready)) for upload in uploads])
            for request, uploads in zip(requests, batch, strict=True)
        ]

    def _decoded(self, uploads: Sequence[bytes]) -> Sequence[photo.Photo | None]:
        """What DALI decodes of them, where it is in use."""
        if self.decoder is None:
            return [None] * len(uploads)
        started = time.perf_counter()
        ready: Sequence[photo.Photo | None] = self.decoder.load(uploads, self.canvas)
        seconds, decoded = time.perf_counter() - started, [each for each in ready if each]
        for each in decoded:
            self.metrics.decoded(each.format, seconds / len(decoded))
        return ready

    def _respond(self, request: Any, uploads: Sequence[tuple[bytes, photo.Photo | None]]) -> Any:
        try:
            loaded = [ready or self._load(upload) for upload, ready in uploads]
        except photo.Unusable as error:
            pb_utils.Logger.log_info(f"[request id: {request.request_id()}] {error}")
            return _failure(str(error), pb_utils.TritonError.INVALID_ARG)
        except Exception as error:
            name = f"[request id: {request.request_id()}]"
            pb_utils.Logger.log_error(f"{name} preprocess failed: {traceback.format_exc()}")
            return _failure(f"preprocess failed: {error!r}", pb_utils.TritonError.INTERNAL)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("PIXELS", np.stack([each.pixels for each in loaded])),
                pb_utils.Tensor("EXTENT", np.array([each.extent for each in loaded], np.int32)),
                pb_utils.Tensor("IMAGE_SIZE", np.array([each.size for each in loaded], np.int32)),
                pb_utils.Tensor("MODEL", np.array([[self.student]] * len(loaded), np.object_)),
            ]
        )

    def _load(self, upload: bytes) -> photo.Photo:
        started = time.perf_counter()
        try:
            loaded = photo.load(upload, self.canvas)
        except photo.Unusable as error:
            self.metrics.unusable(error.reason, error.format)
            raise
        except Exception:
            self.metrics.failed()
            raise
        self.metrics.decoded(loaded.format, time.perf_counter() - started)
        return loaded


def _decoder(config: dict[str, Any], args: dict[str, str]) -> Any:
    """What decodes before `photo` does, as the configuration has it; or nothing."""
    name = config["parameters"].get("decoder", {}).get("string_value")
    if name is None:
        return None
    if name != "dali":
        raise pb_utils.TritonModelException(f"preprocess: decoder is {name!r}; there is only dali")
    try:
        from dali import Decoder
    except ImportError as error:
        raise pb_utils.TritonModelException(
            f"preprocess: DALI is not here ({error}): pip install nvidia-dali-cuda130, or delete "
            "the parameter decoder, and all photos are decoded on the CPU"
        ) from error
    gpu = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
    try:
        return Decoder(int(config["max_batch_size"]), gpu)
    except RuntimeError as error:
        raise pb_utils.TritonModelException(
            f"preprocess: DALI does not start on {'the CPU' if gpu is None else f'GPU {gpu}'} "
            f"({error}): nvidia-smi shows whether there is a driver for CUDA 13 and free memory"
        ) from error


def _failure(message: str, code: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
