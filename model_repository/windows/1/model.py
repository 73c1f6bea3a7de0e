"""The last step of `crops`. Each request is answered by itself: an impossible one fails alone."""

import traceback
from typing import Any

import gazecrop
import triton_python_backend_utils as pb_utils
import windows


class TritonPythonModel:
    def execute(self, requests: list[Any]) -> list[Any]:
        return [_respond(request) for request in requests]


def _respond(request: Any) -> Any:
    tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
    try:
        outputs = windows.answer(tensors)
    except (gazecrop.InvalidArgument, gazecrop.NoWindow) as error:
        return _failure(f"windows: {error}", pb_utils.TritonError.INVALID_ARG)
    except Exception as error:
        name = f"[request id: {request.request_id()}]"
        pb_utils.Logger.log_error(f"{name} windows failed: {traceback.format_exc()}")
        return _failure(f"windows failed: {error!r}", pb_utils.TritonError.INTERNAL)
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, array) for name, array in outputs.items()]
    )


def _failure(message: str, code: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
