"""The connection to a Triton that serves `saliency`."""

from collections.abc import Iterable
from types import TracebackType

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from gazecrop._crop import Crop, Ratio, parse_ratio
from gazecrop._errors import (
    DeadlineExceeded,
    GazecropError,
    ImageRejected,
    InvalidArgument,
    ServerFailed,
    ServerUnreachable,
)
from gazecrop._photo import Photo, encoded
from gazecrop._saliency import Saliency

MODEL = "saliency"


class Client:
    """Predicts where people look, by asking a Triton over gRPC. Threads may share it.

    Args:
        address: "host:port" of Triton's gRPC endpoint.
        timeout: seconds within which every call is answered or fails.
    """

    def __init__(self, address: str = "localhost:8001", timeout: float = 5.0) -> None:
        if not timeout > 0:
            raise InvalidArgument(f"a timeout is a positive number of seconds, not {timeout!r}")
        self.address = address
        self.timeout = timeout
        self._triton = triton.InferenceServerClient(address)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._triton.close()

    def predict(self, photo: Photo) -> Saliency:
        """Where people will look in a photo.

        Args:
            photo: a path, the file's bytes, an open file or a PIL image.

        Raises:
            InvalidArgument: this is no photo, or its file cannot be read.
            ImageRejected: the server cannot use it, for the reason in the message.
            ServerUnreachable, DeadlineExceeded, ServerFailed: see `gazecrop._errors`.
        """
        image = triton.InferInput("IMAGE", [1, 1], "BYTES")
        image.set_data_from_numpy(np.array([[encoded(photo)]], dtype=np.object_))
        try:
            result = self._triton.infer(MODEL, [image], client_timeout=self.timeout)
        except InferenceServerException as error:
            raise self._translated(error) from error
        density, size = result.as_numpy("SALIENCY"), result.as_numpy("IMAGE_SIZE")
        width, height = size[0].tolist()
        return Saliency(density[0], (width, height))

    def crop(self, photo: Photo, ratios: Iterable[Ratio]) -> list[Crop]:
        """The best crop of a photo for each aspect ratio, in their order: one round trip.

        Raises:
            InvalidArgument: one of the ratios is none; nothing was sent.
            Besides, whatever `predict` raises.
        """
        shapes = [parse_ratio(ratio) for ratio in ratios]
        saliency = self.predict(photo)
        return [saliency.crop(shape) for shape in shapes]

    def is_ready(self) -> bool:
        """Whether the server can answer predictions.

        Raises:
            ServerUnreachable, DeadlineExceeded, ServerFailed: see `gazecrop._errors`.
        """
        try:
            return bool(self._triton.is_model_ready(MODEL, client_timeout=self.timeout))
        except InferenceServerException as error:
            raise self._translated(error) from error

    def _translated(self, error: InferenceServerException) -> GazecropError:
        message = error.message()
        match error.status():
            case "StatusCode.UNAVAILABLE":
                return ServerUnreachable(f"no Triton answers at {self.address}: {message}")
            case "StatusCode.DEADLINE_EXCEEDED":
                return DeadlineExceeded(f"no answer from {self.address} within {self.timeout} s")
            case "StatusCode.INVALID_ARGUMENT":
                return ImageRejected(message)
            case status:
                return ServerFailed(f"{self.address} answered {status}: {message}")
