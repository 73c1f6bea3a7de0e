"""The servers of a client, and the channel to them.

gRPC keeps the connections alive, balances over several servers and passes over those that are gone;
the settings here tell it how.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as protocol

from gazecrop._addresses import Target
from gazecrop._deadline import in_thread
from gazecrop._errors import ServerUnreachable
from gazecrop._retry import Budget
from gazecrop._turns import Turns

SERVICE = "/inference.GRPCInferenceService/"
SERVICE_CONFIG: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
CHANNEL: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_retries", 0),  # nobody would see them
    ("grpc.max_send_message_length", -1),  # the server bounds uploads, with a better message
    ("grpc.max_receive_message_length", 2**20),
    # A server that vanished without a word is found out while a call waits, so that the call goes
    # to another connection: after 1.5 s in which Linux got no receipt for what it sent, or without
    # an answer to a ping. Pings on idle connections would make servers hang up.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 1_500),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
]
RESOLVE_EVERY, RESOLVE_AFTER_FAILURE = 10.0, 2.0  # seconds


class Methods:
    """What Triton answers over one channel. Requests are bytes: serialized once, in any thread."""

    def __init__(self, channel: grpc.Channel) -> None:
        def method(name: str, response: Any) -> grpc.UnaryUnaryMultiCallable:
            return channel.unary_unary(SERVICE + name, None, response.FromString)

        self.channel = channel
        self.infer = method("ModelInfer", protocol.ModelInferResponse)
        self.metadata = method("ServerMetadata", protocol.ServerMetadataResponse)


class Servers:
    """The servers of a client, for one process: a fork needs its own.

    One name is gRPC's to resolve. It takes several only as numbers, so these are looked up here,
    all of each name, and again after ten seconds in which there are calls, or a failure.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        credentials: grpc.ChannelCredentials | None,
        in_flight: int,
    ) -> None:
        self.lock = threading.RLock()
        self.calls = 0  # under way
        self.turns = Turns(in_flight)
        self.budget = Budget()
        self._targets, self._credentials = targets, credentials
        self._addresses: dict[Target, list[str]] = {}
        self._methods: Methods | None = None
        self._resolving: Future[None] | None = None
        self._due = 0.0
        # A proxy is asked for one name.
        self.proxy = targets[0].proxy if len(targets) == 1 else None
        if len(targets) == 1:
            self._connect(targets[0].name)

    def resolving(self) -> Future[None] | None:
        """What to wait for before there are any methods."""
        if len(self._targets) == 1:
            return None
        with self.lock:
            under_way = self._resolving and not self._resolving.done()
            if time.monotonic() >= self._due and not under_way:
                self._due = time.monotonic() + RESOLVE_EVERY
                self._resolving = in_thread(self._resolve)
            return self._resolving if self._methods is None else None

    @property
    def methods(self) -> Methods:
        """The present ones: other addresses make new ones."""
        if self._methods is None:
            names = ", ".join(target.name for target in self._targets)
            raise ServerUnreachable(f"none of {names} resolves to an address")
        return self._methods

    def failed(self) -> None:
        """A call did: its server may be elsewhere by now."""
        self._due = min(self._due, time.monotonic() + RESOLVE_AFTER_FAILURE)

    def close(self) -> None:
        if self._methods:
            self._methods.channel.close()

    def _resolve(self) -> None:
        try:
            before = dict(self._addresses)
            for target in self._targets:
                with contextlib.suppress(OSError):  # it keeps those that it had
                    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
                    self._addresses[target] = sorted({str(each[4][0]) for each in found})
            if self._addresses != before:
                self._connect(_numbers(self._addresses))
        finally:
            if self._methods is None:
                self._due = 0.0

    def _connect(self, name: str) -> None:
        options = [*CHANNEL, ("grpc.enable_http_proxy", int(self.proxy is not None))]
        if len(self._targets) > 1:  # all their certificates must show this name
            options.append(("grpc.default_authority", self._targets[0].host))
        # Calls in flight keep the channel before alive, and end in it.
        self._methods = Methods(
            grpc.secure_channel(name, self._credentials, options)
            if self._credentials
            else grpc.insecure_channel(name, options)
        )


def _numbers(addresses: dict[Target, list[str]]) -> str:
    """gRPC's name for several addresses: of both families, as those of IPv6."""
    found = [(each, target.port) for target, numbers in addresses.items() for each in numbers]
    if all(":" not in number for number, _ in found):
        return "ipv4:" + ",".join(f"{number}:{port}" for number, port in found)
    mapped = ((n if ":" in n else f"::ffff:{n}", port) for n, port in found)
    return "ipv6:" + ",".join(f"[{number}]:{port}".replace("%", "%25") for number, port in mapped)
