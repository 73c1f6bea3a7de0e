"""The ensemble's first step. Each request is answered by itself: a broken upload fails alone."""

import json
import time
import traceback
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

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        uploads = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().ravel()
        try:
            loaded = [self._load(upload) for upload in uploads]
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


def _failure(message: str, code: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
