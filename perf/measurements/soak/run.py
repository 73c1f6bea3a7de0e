"""Uploads that are sent to a server while its processes are killed."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psutil
from gazecrop import AsyncClient, ImageRejected

from perf.instruments import hostile, supervised
from perf.instruments.photos import turned
from perf.instruments.supervised import Resources, Supervised
from perf.measurements.soak.endings import Ending, Outcome, Upload, verdict
from perf.measurements.soak.results import MEGAPIXELS, Plan, Soak, progress, summary

CONCURRENCY = 16  # requests in flight that keep the server busy
DEADLINE = 5.0  # seconds, the client's own
GRACE = 2.0  # seconds after it; what has neither an answer nor an error by then is lost
HEALED_SECONDS = 30.0  # within which all that was killed is replaced, or counts as missing
LOOK_SECONDS = 0.2

Say: TypeAlias = Callable[[str], None]


def measure(plan: Plan, say: Say, log: Path | None = None) -> Soak | None:
    """Start a server and soak it; None if it was stopped before its load began.

    SIGINT and SIGTERM end it early, with what was measured so far; a second one ends it at once.

    Raises:
        ServerError: the server does not start, has given up, or does not end in order.
        GazecropError: it does not say what it makes of an upload while it is left alone.
    """
    with supervised.serve(log) as server:
        return asyncio.run(_measure(server, plan, say))


async def _measure(server: Supervised, plan: Plan, say: Say) -> Soak | None:
    stop = asyncio.Event()
    _stop_by_signals(stop)
    # Large photos are for the server: the client would send small copies of them.
    async with AsyncClient(server.grpc, DEADLINE, shrink_above=None) as client:
        run = Run(server, client, plan, stop)
        await run.learn()
        sustained = await run.closed_loop()
        start = server.resources()
        if stop.is_set():
            return None
        say(f"sustained: {sustained:.0f} uploads/s; {start}")
        run.start()
        offered, _, _ = await asyncio.gather(
            run.open_loop(plan.share * sustained), run.kill(say), run.tell(say)
        )
        seconds = run.now()
        await run.heal(start)
        after = None if stop.is_set() else await run.closed_loop()
        held = start, server.resources()
        return summary(
            plan, seconds, (sustained, after), offered, run.endings, run.kills, held, run.megabytes
        )


def _stop_by_signals(stop: asyncio.Event) -> None:
    def ask() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask)


class Run:
    """A server under load.

    Attributes:
        endings: of all uploads, in order.
        kills: what was killed when, in seconds since the start.
        megabytes: of memory, at the end of each interval in which nothing was restarting.
    """

    def __init__(
        self, server: Supervised, client: AsyncClient, plan: Plan, stop: asyncio.Event
    ) -> None:
        self._server, self._client, self._plan, self._stop = server, client, plan, stop
        self._chance = random.Random(plan.seed)
        self._photos: list[Upload] = []
        self._hostile: list[Upload] = []
        self.endings: list[Ending] = []
        self.kills: list[tuple[str, float]] = []
        self.megabytes: list[float] = []
        self.start()

    def start(self) -> None:
        """Time runs from here on."""
        self._started = time.perf_counter()
        self.endings.clear()

    def now(self) -> float:
        return time.perf_counter() - self._started

    async def learn(self) -> None:
        """Ask what the server makes of each upload.

        Raises:
            GazecropError: it does not say.
        """
        self._photos = [await self._known(data) for data in turned(MEGAPIXELS)]
        files = hostile.uploads(self._chance, self._plan.files)
        self._hostile = [await self._known(data) for data in files]

    async def closed_loop(self) -> float:
        """Right answers a second with `CONCURRENCY` uploads in flight."""
        before, started = len(self.endings), self.now()

        async def keep_sending() -> None:
            while (due := self.now()) < started + self._plan.sustained and not self._stop.is_set():
                await self._send(self._pick(), due)

        await asyncio.gather(*(keep_sending() for _ in range(CONCURRENCY)))
        right = sum(ending.is_right for ending in self.endings[before:])
        return right / (self.now() - started)

    async def open_loop(self, rate: float) -> float:
        """Send uploads at random times; how many were sent a second, if late or not."""
        end, due, count = 60 * self._plan.minutes, self.now(), 0
        sent: set[asyncio.Task[None]] = set()
        while (due := due + self._chance.expovariate(rate)) < end and not self._stop.is_set():
            await asyncio.sleep(max(0.0, due - self.now()))
            task = asyncio.create_task(self._send(self._pick(), due))
            sent.add(task)
            task.add_done_callback(sent.discard)
            count += 1
        offered = count / self.now()
        await asyncio.gather(*sent)
        return offered

    async def kill(self, say: Say) -> None:
        """Kill a process in the middle of each interval."""
        chance = random.Random(self._plan.seed)
        await self._pause(self._plan.every / 2)
        while self._lasts():
            part, process = chance.choice(self._plan.parts), None
            with contextlib.suppress(KeyError, psutil.NoSuchProcess):  # it is not there just now
                process = chance.choice(self._server.parts()[part])
                process.kill()
                self.kills.append((part, self.now()))
            say(f"{'killed' if process else 'missing'}: {part}")
            await self._pause(self._plan.every)

    async def tell(self, say: Say) -> None:
        """A line about each interval."""
        told = 0
        while self._lasts():
            await self._pause(self._plan.every)
            endings, told = self.endings[told:], len(self.endings)
            held = "restarting"
            with contextlib.suppress(KeyError, psutil.NoSuchProcess):
                resources = self._server.resources()
                self.megabytes.append(resources.megabytes)
                held = str(resources)
            say(f"{progress(endings)}; {held}")

    async def heal(self, start: Resources) -> None:
        """Wait until as many processes are there as at the start."""
        deadline = time.monotonic() + HEALED_SECONDS
        while time.monotonic() < deadline:
            living = {part: len(found) for part, found in self._server.parts().items()}
            if living == start.processes:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _known(self, data: bytes) -> Upload:
        try:
            return Upload(data, await self._client.predict(data))
        except ImageRejected as refusal:
            return Upload(data, refusal)

    async def _send(self, upload: Upload, due: float) -> None:
        task = asyncio.create_task(self._client.predict(upload.data))
        await asyncio.wait({task}, timeout=DEADLINE + GRACE)
        got: Outcome | None = None
        if not task.done():
            task.cancel()
        elif isinstance(error := task.exception(), Exception):
            got = error
        else:
            got = task.result()
        self.endings.append(Ending(due, self.now(), verdict(upload.expected, got)))

    def _pick(self) -> Upload:
        is_hostile = self._chance.random() < self._plan.hostile
        return self._chance.choice(self._hostile if is_hostile else self._photos)

    def _lasts(self) -> bool:
        return self.now() < 60 * self._plan.minutes and not self._stop.is_set()

    async def _pause(self, seconds: float) -> None:
        left = 60 * self._plan.minutes - self.now()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(0.0, min(seconds, left)))
