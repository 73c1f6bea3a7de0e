"""What `Client` and `AsyncClient` share: settings, the way of a call, requests and answers."""

import functools
import io
import os
import re
import struct
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import tritonclient.grpc as triton
from PIL import Image
from tritonclient.grpc import service_pb2 as protocol

from gazecrop._addresses import Address, parse_targets
from gazecrop._deadline import Deadline, Timeout, parse_timeout
from gazecrop._errors import (
    GazecropError,
    ImageRejected,
    InvalidArgument,
    ServerFailed,
    ServerUnreachable,
)
from gazecrop._geometry import parse_count
from gazecrop._photo import Upload
from gazecrop._retry import ATTEMPTS, LOG, PASSING, backoff
from gazecrop._saliency import Saliency
from gazecrop._servers import Servers
from gazecrop._source import Photo

MODEL = "saliency"
SHRINK_ABOVE = 2**20  # bytes
IN_FLIGHT = 64  # calls; the server's queue holds 128
MAX_BYTES = 2**31 - 2**10  # of a message, by the protocol

METADATA_KEY = re.compile(r"[a-z0-9_.-]+(?<!-bin)")  # gRPC takes those in -bin as bytes
METADATA_VALUE = re.compile(r"[ -~]*")

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
    """The settings of a client, and what it needs to make calls."""

    def __init__(
        self,
        address: Address | None = None,
        timeout: float | None = 5.0,
        *,
        tls: TLS | None = None,
        metadata: Metadata | None = None,
        shrink_above: int | None = SHRINK_ABOVE,
        in_flight: int = IN_FLIGHT,
        model: str | None = None,
    ) -> None:
        """Connects with the first call, anew in each process. Can be pickled: as its settings.

        Args:
            address: "host:port" of Triton's gRPC endpoint. Calls take turns over several: give
                a list, or "dns:///name:port"; both follow the addresses that names have. By
                default what the variable GAZECROP_SERVER holds, several with commas between
                them, or else "localhost:8001".
            timeout: seconds within which every call is answered or fails, whatever it does:
                reading the photo, waiting for its turn, retries. None for no limit.
            tls: how to encrypt; by default not at all.
            metadata: sent with every call: an authorization header, say.
            shrink_above: JPEG files of more bytes are sent as a small copy; None for never.
            in_flight: calls at a time; more wait for their turn.
            model: the network to insist on, as `Saliency.model`: the answer of any other raises
                `gazecrop.ServerFailed`.

        Raises:
            gazecrop.InvalidArgument: a setting makes no sense, or a certificate's file cannot
                be read.
        """
        self._targets = parse_targets(address)
        self.address = ", ".join(target.name for target in self._targets)
        self.timeout = parse_timeout(timeout)
        self.shrink_above = shrink_above
        if shrink_above is not None:
            parse_count("shrink_above", shrink_above, 0)
        self.in_flight = parse_count("in_flight", in_flight)
        self.model = model
        self._metadata = checked(metadata)
        self._tls = tls
        self._credentials = _credentials(tls) if tls else None
        self._closed = False
        self._servers: dict[int, Servers] = {}  # by process

    def __getstate__(self) -> dict[str, Any]:
        return {
            "address": [target.name for target in self._targets],
            "timeout": self.timeout,
            "tls": self._tls,
            "metadata": self._metadata,
            "shrink_above": self.shrink_above,
            "in_flight": self.in_flight,
            "model": self.model,
        }

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    @contextmanager
    def _call(self, deadline: Deadline, metadata: Metadata | None) -> Iterator["Call"]:
        """A call under way. The last one closes a client that was closed meanwhile."""
        headers = tuple({**self._metadata, **checked(metadata)}.items())
        servers = self._here()
        with servers.lock:
            if self._closed:
                raise InvalidArgument("this client is closed")
            servers.calls += 1
        try:
            yield Call(self.address, servers, deadline, headers)
        finally:
            with servers.lock:
                servers.calls -= 1
                self._close_if_unused(servers)

    def _deadline(self, timeout: Timeout) -> Deadline:
        return Deadline(self.timeout if timeout == "client's" else parse_timeout(timeout))

    def _here(self) -> Servers:
        process = os.getpid()
        if servers := self._servers.get(process):
            return servers
        servers = Servers(self._targets, self._credentials, self.in_flight)
        return self._servers.setdefault(process, servers)

    def _answer(self, response: Any, upload: Upload) -> Saliency:
        """The prediction in a response.

        Raises:
            gazecrop.ServerFailed: it is another network's than the one insisted on.
        """
        saliency = answer(response, upload)
        if self.model is not None and saliency.model != self.model:
            theirs = saliency.model or "of no known version"
            raise ServerFailed(
                f"{self.address} predicts with the network {theirs}, not {self.model}"
            )
        return saliency

    def _close(self) -> None:
        servers = self._here()
        with servers.lock:
            self._closed = True
            self._close_if_unused(servers)

    def _close_if_unused(self, servers: Servers) -> None:
        if self._closed and not servers.calls:
            servers.close()


@dataclass(frozen=True)
class Taken:
    """A photo whose time runs, or why it cannot be used."""

    photo: Photo | GazecropError
    deadline: Deadline

    def usable(self) -> Photo:
        if isinstance(self.photo, GazecropError):
            raise self.photo
        return self.photo


class Call:
    """One call: to which servers, by when, and what becomes of its failures."""

    def __init__(
        self,
        address: str,
        servers: Servers,
        deadline: Deadline,
        metadata: tuple[tuple[str, str], ...],
    ) -> None:
        self.servers, self.deadline, self.metadata = servers, deadline, metadata
        self.answer = f"answer from {address}"  # what it waits for
        self.turn = "turn among the calls in flight"
        self._address = address
        self._attempt = 0

    def arguments(self) -> dict[str, Any]:
        """Those of gRPC's methods."""
        self._attempt += 1
        return {"timeout": self.deadline.left(self.answer), "metadata": self.metadata}

    def succeeded(self) -> None:
        self.servers.budget.succeeded()

    def wait_after(self, failure: grpc.RpcError) -> float:
        """Seconds until the next attempt.

        Raises:
            GazecropError: there shall be none.
        """
        self.servers.failed()
        error = self._translated(failure)
        passing = failure.code() in PASSING and self.servers.budget.failed()
        if not passing or self._attempt == ATTEMPTS:
            raise error from failure
        wait = backoff(self._attempt)
        left = self.deadline.left(self.answer)
        if left is not None and left <= wait:
            raise error from failure
        LOG.warning("%s; attempt %d in %.2f s", error, self._attempt + 1, wait)
        return wait

    def _translated(self, error: grpc.RpcError) -> GazecropError:
        message = (error.details() or "").removeprefix(f"in ensemble '{MODEL}', ")
        through = f" (through the proxy {self.servers.proxy})" if self.servers.proxy else ""
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                reason = f"Triton at {self._address}{through} is unavailable: {message}"
                return ServerUnreachable(reason)
            case grpc.StatusCode.NOT_FOUND | grpc.StatusCode.CANCELLED:
                return ServerUnreachable(
                    f"Triton at {self._address}{through} is stopping, or serves no model "
                    f"{MODEL!r}: {message}"
                )
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return self.deadline.exceeded(self.answer + through)
            case grpc.StatusCode.INVALID_ARGUMENT:
                return ImageRejected(message)
            case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in message:
                return ImageRejected(f"the photo has too many bytes: {message}")
            case status:
                return ServerFailed(f"{self._address}{through} answered {status}: {message}")


def request(sent: Upload) -> bytes:
    """The message that asks for a prediction."""
    if len(sent.data) > MAX_BYTES:
        raise InvalidArgument(f"a photo of {len(sent.data)} bytes cannot be sent")
    message = protocol.ModelInferRequest(model_name=MODEL, id=uuid.uuid4().hex)
    message.inputs.add(name="IMAGE", datatype="BYTES", shape=[1, 1])
    message.raw_input_contents.append(struct.pack("<I", len(sent.data)) + sent.data)
    return bytes(message.SerializeToString())


METADATA = protocol.ServerMetadataRequest().SerializeToString()


def answer(response: Any, upload: Upload) -> Saliency:
    """The prediction in a response; for a shrunken copy, in pixels of the photo itself.

    The request names no outputs, so the server sends all that it has: an older one fewer.

    Raises:
        ServerFailed: this is no prediction.
    """
    result = triton.InferResult(response)
    try:
        density, size = result.as_numpy("SALIENCY"), result.as_numpy("IMAGE_SIZE")
        integrity = result.as_numpy("INTEGRITY")
        width, height = size[0].tolist()
        known = None if integrity is None else integrity[0]
        model = result.as_numpy("MODEL")
        name = None if model is None else model[0].item().decode()
        return Saliency(density[0], upload.size or (width, height), known, name)
    except (AttributeError, InvalidArgument, IndexError, TypeError, ValueError) as error:
        raise ServerFailed(f"the server's answer is no prediction: {error}") from error


@functools.cache
def tiny_photo() -> bytes:
    """A JPEG that costs a server next to nothing, to ask whether it predicts."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).save(file, "JPEG")
    return file.getvalue()


def has_answered(error: GazecropError) -> bool:
    """Whether there is a server which says that it does not predict."""
    cause = error.__cause__
    missing = isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.NOT_FOUND
    return missing or isinstance(error, ServerFailed | ImageRejected)


def checked(metadata: Metadata | None) -> dict[str, str]:
    try:
        checked = dict(metadata or {})
    except (TypeError, ValueError):
        raise InvalidArgument(f"metadata is a mapping, not {metadata!r}") from None
    for key, value in checked.items():
        text = isinstance(key, str) and isinstance(value, str)
        if not (text and METADATA_KEY.fullmatch(key) and METADATA_VALUE.fullmatch(value)):
            raise InvalidArgument(
                f"metadata has lower-case keys and plain ASCII text, not those of {key!r}"
            )
    return checked


def _credentials(tls: TLS) -> grpc.ChannelCredentials:
    if (tls.private_key is None) != (tls.certificate_chain is None):
        raise InvalidArgument("mutual TLS needs both a private key and a certificate chain")
    files = (tls.root_certificates, tls.private_key, tls.certificate_chain)
    try:
        return grpc.ssl_channel_credentials(*(file and Path(file).read_bytes() for file in files))
    except OSError as error:
        raise InvalidArgument(f"cannot read {error.filename}: {error.strerror}") from error
