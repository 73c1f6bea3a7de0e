"""What `Client` and `AsyncClient` share: the channel's settings, requests, answers and errors.

gRPC itself keeps the connections alive, balances over several servers, and tries again what is
safe to try again; the settings here tell it how.
"""

import functools
import io
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np
import tritonclient.grpc as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

from gazecrop._errors import (
    DeadlineExceeded,
    GazecropError,
    ImageRejected,
    InvalidArgument,
    ServerFailed,
    ServerUnreachable,
)
from gazecrop._photo import Upload
from gazecrop._saliency import Saliency

MODEL = "saliency"
SHRINK_ABOVE = 2**20  # bytes

# A prediction changes nothing on the server, so it may be sent twice. It is worth it for
# UNAVAILABLE (nobody there, connection lost, queue full), and for NOT_FOUND and CANCELLED, with
# which a Triton answers that unloads its models and stops. gRPC waits for the backoff ± 20 %, stays
# inside the call's deadline, and stops retrying while most calls fail (its proposal A6).
RETRIES = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "NOT_FOUND", "CANCELLED"],
}
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{"name": [{}], "retryPolicy": RETRIES}],
    "retryThrottling": {"maxTokens": 1000, "tokenRatio": 1},
}
CHANNEL: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.per_rpc_retry_buffer_size", 32 * 2**20),  # a larger upload would not be sent again
    ("grpc.max_send_message_length", -1),  # the server bounds uploads, with a better message
    ("grpc.max_receive_message_length", 2**20),
    # A server that vanished without a word is found out while a call waits; pings on idle
    # connections would make servers hang up.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]

Address: TypeAlias = str | Sequence[str]
Metadata: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class TLS:
    """Encrypt the connection; with a key and a certificate, the server checks them (mutual TLS).

    Attributes:
        root_certificates: a PEM file of those to trust; by default the ones gRPC comes with.
        private_key, certificate_chain: PEM files of this client.
    """

    root_certificates: str | os.PathLike[str] | None = None
    private_key: str | os.PathLike[str] | None = None
    certificate_chain: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Status:
    """A server's answer to a ping.

    Attributes:
        ready: whether it predicts.
        server, version: its name and version.
        seconds: from a tiny photo to its prediction, or to the error.
        model: the network that predicted, as `Saliency.model`.
        problem: why it does not predict.
    """

    ready: bool
    server: str
    version: str
    seconds: float
    model: str | None = None
    problem: str | None = None


class Connection:
    """The settings of a client, and the translation between it and Triton."""

    _Triton: Callable[..., Any]  # Triton's own client, of either kind

    def __init__(
        self,
        address: Address = "localhost:8001",
        timeout: float = 5.0,
        *,
        tls: TLS | None = None,
        metadata: Metadata | None = None,
        shrink_above: int | None = SHRINK_ABOVE,
        model: str | None = None,
    ) -> None:
        """Connects with the first call.

        Args:
            address: "host:port" of Triton's gRPC endpoint. Calls take turns over several: give
                a list, or "dns:///name:port" for all addresses that a name has at any time.
            timeout: seconds within which every call is answered or fails, retries included.
            tls: how to encrypt; by default not at all.
            metadata: sent with every call: an authorization header, say.
            shrink_above: JPEG files of more bytes are sent as a small copy; None for never.
            model: the network to insist on, as `Saliency.model`: the answer of any other raises
                `gazecrop.ServerFailed`.

        Raises:
            gazecrop.InvalidArgument: a setting makes no sense, or a certificate's file cannot
                be read.
        """
        addresses = [address] if isinstance(address, str) else list(address)
        if not addresses:
            raise InvalidArgument("a client needs an address")
        self.address = ", ".join(addresses)
        self.timeout = _positive(timeout)
        self.shrink_above = shrink_above
        self.model = model
        self._metadata = _checked(metadata or {})
        self._closed = False
        self._triton = self._Triton(
            addresses[0] if len(addresses) == 1 else _target(addresses),
            creds=_credentials(tls) if tls else None,
            channel_args=[*CHANNEL, *_authority(addresses)],
        )

    def _call(self, timeout: float | None, metadata: Metadata | None) -> dict[str, Any]:
        """The arguments that every call of Triton's clients takes."""
        if self._closed:
            raise InvalidArgument("this client is closed")
        return {
            "client_timeout": self.timeout if timeout is None else _positive(timeout),
            "headers": {**self._metadata, **_checked(metadata or {})},
        }

    def _answer(self, result: triton.InferResult, upload: Upload) -> Saliency:
        """The prediction in a response.

        Raises:
            gazecrop.ServerFailed: it is another network's than the one insisted on.
        """
        saliency = answer(result, upload)
        if self.model is not None and saliency.model != self.model:
            theirs = saliency.model or "of no known version"
            raise ServerFailed(
                f"{self.address} predicts with the network {theirs}, not {self.model}"
            )
        return saliency

    @contextmanager
    def _errors(self, timeout: float | None) -> Iterator[None]:
        """Turn Triton's exceptions into ours."""
        try:
            yield
        except InferenceServerException as error:
            raise self._translated(error, timeout or self.timeout) from error

    def _translated(self, error: InferenceServerException, timeout: float) -> GazecropError:
        message = error.message()
        match error.status():
            case "StatusCode.UNAVAILABLE":
                return ServerUnreachable(f"Triton at {self.address} is unavailable: {message}")
            case "StatusCode.DEADLINE_EXCEEDED":
                return DeadlineExceeded(f"no answer from {self.address} within {timeout} s")
            case "StatusCode.INVALID_ARGUMENT":
                return ImageRejected(message)
            case status:
                return ServerFailed(f"{self.address} answered {status}: {message}")


def inputs(upload: Upload) -> list[triton.InferInput]:
    """The tensors of a request."""
    image = triton.InferInput("IMAGE", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[upload.data]], dtype=np.object_))
    return [image]


def answer(result: triton.InferResult, upload: Upload) -> Saliency:
    """The prediction in a response; for a shrunken copy, in pixels of the photo itself.

    The request names no outputs, so the server sends all that it has: an older one fewer.
    """
    density, size = result.as_numpy("SALIENCY"), result.as_numpy("IMAGE_SIZE")
    integrity = result.as_numpy("INTEGRITY")
    width, height = size[0].tolist()
    known = None if integrity is None else integrity[0]
    model = result.as_numpy("MODEL")
    name = None if model is None else model[0].item().decode()
    return Saliency(density[0], upload.size or (width, height), known, name)


@functools.cache
def tiny_photo() -> bytes:
    """A JPEG that costs a server next to nothing, to ask whether it predicts."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).save(file, "JPEG")
    return file.getvalue()


def _positive(timeout: float) -> float:
    if not timeout > 0:
        raise InvalidArgument(f"a timeout is a positive number of seconds, not {timeout!r}")
    return timeout


def _checked(metadata: Metadata) -> Metadata:
    for key, value in metadata.items():
        if not re.fullmatch(r"[a-z0-9_.-]+", key) or not re.fullmatch(r"[ -~]*", value):
            raise InvalidArgument(
                f"metadata has lower-case keys and plain ASCII text, not {key!r}: {value!r}"
            )
    return metadata


def _credentials(tls: TLS) -> grpc.ChannelCredentials:
    if (tls.private_key is None) != (tls.certificate_chain is None):
        raise InvalidArgument("mutual TLS needs both a private key and a certificate chain")
    files = (tls.root_certificates, tls.private_key, tls.certificate_chain)
    try:
        return grpc.ssl_channel_credentials(*(file and Path(file).read_bytes() for file in files))
    except OSError as error:
        raise InvalidArgument(f"cannot read {error.filename}: {error.strerror}") from error


def _target(addresses: Sequence[str]) -> str:
    """gRPC's name for several addresses: it takes these by number only."""
    found = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            info = socket.getaddrinfo(host.strip("[]"), int(port), socket.AF_INET)
        except (OSError, ValueError) as error:
            raise InvalidArgument(f"{address!r} is no host:port that resolves: {error}") from error
        found.append(f"{info[0][4][0]}:{port}")
    return "ipv4:" + ",".join(found)


def _authority(addresses: Sequence[str]) -> list[tuple[str, Any]]:
    """Of several servers, the name that all their certificates must show."""
    if len(addresses) == 1:
        return []
    return [("grpc.default_authority", addresses[0].rpartition(":")[0])]
