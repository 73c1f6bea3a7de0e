"""Ask a Triton on this host over HTTP, past all proxies, above all whether it predicts."""

import contextlib
import http.client
import json
from pathlib import Path

# As Triton takes it from a file for its warm-up, and from the wire: its length, and a JPEG.
PHOTO = Path(__file__).parents[1] / "model_repository" / "preprocess" / "warmup" / "photo"
PATIENCE = 4.0  # seconds
UNAVAILABLE = 503
INFER = "models/saliency/infer"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class NoPrediction(Exception):
    """The server did not predict; the message says why.

    Attributes:
        busy: whether it only refused, as a full queue does.
    """

    def __init__(self, message: str, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


def predict(host: str, port: int, timeout: float = PATIENCE) -> None:
    """Let a server that listens on this host predict.

    Raises:
        NoPrediction: it does not.
    """
    status, answer = ask(host, port, "POST", INFER, *request(PHOTO.read_bytes()), timeout)
    if status != http.client.OK:
        message = answer.decode(errors="replace")
        raise NoPrediction(f"HTTP status {status}: {message}", busy=status == UNAVAILABLE)


def ask(
    host: str,
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    timeout: float = PATIENCE,
) -> tuple[int, bytes]:
    """HTTP status and body of a call of Triton's; no proxy of the environment comes between.

    Raises:
        NoPrediction: nobody answers in time.
    """
    connection = http.client.HTTPConnection(EVERYWHERE.get(host, host), port, timeout=timeout)
    with contextlib.closing(connection):
        try:
            connection.request(method, f"/v2/{path}", body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoPrediction(f"no answer from {host}:{port}: {error}") from error


def request(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers that ask for a saliency map: Triton skips models that nothing is asked of.

    Args:
        photo: its length in 4 bytes, and the file.
    """
    size = {"binary_data_size": len(photo)}
    image = {"name": "IMAGE", "datatype": "BYTES", "shape": [1, 1], "parameters": size}
    saliency = {"name": "SALIENCY", "parameters": {"binary_data": True}}
    header = json.dumps({"inputs": [image], "outputs": [saliency]}).encode()
    return header + photo, {"Inference-Header-Content-Length": str(len(header))}
