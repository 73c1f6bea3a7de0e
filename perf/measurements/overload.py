"""Ask more of a running ensemble than it can do.

    python -m perf.measurements.overload [--server HOST:PORT]

Requests for 2 MP photos come at random times (a Poisson process) at twice the rate that the
server can sustain, whether it answers or not. A good server answers as many as ever, keeps
those short that it accepts, and refuses the others at once (UNAVAILABLE).

The most that it can sustain is measured first, by the same client with 16 requests in flight:
the client takes its share of the same cores.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import numpy as np
from tritonclient.grpc.service_pb2 import ModelInferRequest

from perf.instruments.photos import jpeg
from perf.instruments.tables import table
from perf.instruments.timing import cores

MEGAPIXELS = 2
CONCURRENCY = 16  # requests in flight that keep the server busy
FACTOR = 2.0  # times what the server can sustain
SECONDS = 8.0
DEADLINE = 5.0  # seconds after which nobody waits for an answer

METHOD = "/inference.GRPCInferenceService/ModelInfer"
UNAVAILABLE = "UNAVAILABLE"
OK = "OK"


@dataclass(frozen=True)
class Answer:
    """How a request ended: gRPC's name of its status, and seconds since it was due."""

    status: str
    seconds: float


@dataclass(frozen=True)
class Overload:
    """What came of it.

    Attributes:
        sustained: photos a second with `CONCURRENCY` requests in flight.
        offered: requests sent a second.
        goodput: photos a second that were answered.
        accepted_p50, accepted_p99: milliseconds to those answers.
        refused: requests that got UNAVAILABLE.
        refused_p50, refused_p99: milliseconds to those; None if there were none.
        others: other endings, by status.
        client: of all cores, the share that this client took more than while sustained.
    """

    sustained: float
    offered: float
    goodput: float
    accepted_p50: float
    accepted_p99: float
    refused: int
    refused_p50: float | None
    refused_p99: float | None
    others: dict[str, int]
    client: float

    @property
    def share(self) -> float:
        """Goodput over what the server sustains."""
        return self.goodput / self.sustained


Send: TypeAlias = Callable[[float], Awaitable[Answer]]  # when it was due → how it ended


def measure(server: str, seconds: float = SECONDS) -> Overload:
    return asyncio.run(_measure(server, seconds))


async def _measure(server: str, seconds: float) -> Overload:
    # No retries, and no work per request but gRPC's: the message is made once.
    options = [("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(server, options) as channel:
        call = channel.unary_unary(METHOD)
        message = _message(jpeg(MEGAPIXELS))

        async def send(due: float) -> Answer:
            try:
                await call(message, timeout=DEADLINE)
                status = OK
            except grpc.aio.AioRpcError as error:
                status = error.code().name
            return Answer(status, time.perf_counter() - due)

        await _closed_loop(send, 1.0)  # warm-up
        started = _used()
        sustained = await _closed_loop(send, seconds)
        before = _used()
        offered, answers, lasted = await _open_loop(send, FACTOR * sustained, seconds)
        client = (_rate(before, _used()) - _rate(started, before)) / cores()
    return summary(sustained, offered, answers, lasted, client)


def _used() -> tuple[float, float]:
    """Seconds of a core that this process has taken, and the time."""
    return time.process_time(), time.perf_counter()


def _rate(before: tuple[float, float], now: tuple[float, float]) -> float:
    return (now[0] - before[0]) / (now[1] - before[1])


def _message(upload: bytes) -> bytes:
    request = ModelInferRequest(model_name="saliency")
    request.inputs.add(name="IMAGE", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(len(upload).to_bytes(4, "little") + upload)
    return bytes(request.SerializeToString())


async def _closed_loop(send: Send, seconds: float) -> float:
    """Photos answered a second with `CONCURRENCY` requests in flight."""
    started = time.perf_counter()
    end = started + seconds

    async def keep_sending() -> int:
        answered = 0
        while (now := time.perf_counter()) < end:
            answered += (await send(now)).status == OK
        return answered

    counts = await asyncio.gather(*(keep_sending() for _ in range(CONCURRENCY)))
    return sum(counts) / (time.perf_counter() - started)


async def _open_loop(send: Send, rate: float, seconds: float) -> tuple[float, list[Answer], float]:
    """Send requests at random times.

    Returns:
        How many were sent a second, which is less than wished where this client cannot keep up;
        their answers; and the seconds from the first request to the last answer.
    """
    gaps = np.random.default_rng(0).exponential(1 / rate, round(rate * seconds))
    started = time.perf_counter()
    requests = []
    for due in started + np.cumsum(gaps):
        # Even when late: else nothing else would run.
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        requests.append(asyncio.ensure_future(send(float(due))))
    offered = len(requests) / (time.perf_counter() - started)
    answers = await asyncio.gather(*requests)
    return offered, answers, time.perf_counter() - started


def summary(
    sustained: float, offered: float, answers: list[Answer], lasted: float, client: float
) -> Overload:
    """The figures of an open loop whose answers came within so many seconds."""
    by_status: dict[str, list[float]] = {}
    for answer in answers:
        by_status.setdefault(answer.status, []).append(answer.seconds * 1000)
    accepted, refused = by_status.pop(OK, []), by_status.pop(UNAVAILABLE, [])
    if not accepted:
        raise ValueError(f"no request was answered: {Counter(a.status for a in answers)}")
    return Overload(
        sustained=sustained,
        offered=offered,
        goodput=len(accepted) / lasted,
        accepted_p50=float(np.percentile(accepted, 50)),
        accepted_p99=float(np.percentile(accepted, 99)),
        refused=len(refused),
        refused_p50=float(np.percentile(refused, 50)) if refused else None,
        refused_p99=float(np.percentile(refused, 99)) if refused else None,
        others={status: len(taken) for status, taken in by_status.items()},
        client=client,
    )


def markdown(measured: Overload) -> str:
    others = ", ".join(f"{n} {status}" for status, n in measured.others.items())
    return table(
        ("", ""),
        [
            ("sustained, photos/s", measured.sustained),
            ("offered, requests/s", measured.offered),
            ("answered, photos/s", measured.goodput),
            ("answered, of the sustained", f"{measured.share:.0%}"),
            ("of the cores, taken by the client besides", f"{measured.client:.0%}"),
            ("p50, p99 of the answered, ms", _pair(measured.accepted_p50, measured.accepted_p99)),
            ("refused (UNAVAILABLE)", measured.refused),
            ("p50, p99 of the refused, ms", _pair(measured.refused_p50, measured.refused_p99)),
            ("otherwise ended", others or "none"),
        ],
    )


def _pair(low: float | None, high: float | None) -> str:
    return "–" if low is None else f"{low:.1f}, {high:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="the ensemble at twice the load it can sustain")
    parser.add_argument("--server", default="localhost:8001", help="Triton's gRPC address")
    args = parser.parse_args()
    print(markdown(measure(args.server)))


if __name__ == "__main__":
    main()
