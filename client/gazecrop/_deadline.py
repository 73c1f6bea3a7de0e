"""The deadline of a call, whatever the call does, and threads that nobody waits for longer."""

import asyncio
import contextvars
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Literal, TypeAlias, TypeVar

from gazecrop._errors import DeadlineExceeded, InvalidArgument

Result = TypeVar("Result")
Timeout: TypeAlias = float | Literal["client's"] | None  # seconds; None is no limit

Jobs: TypeAlias = "queue.SimpleQueue[Callable[[], None]]"

IDLE_SECONDS = 10.0
_IDLE: list[Jobs] = []  # of threads that wait: to start one takes longer than to read
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDLE.clear)

FOREVER = 1e8  # seconds from which on a timeout is none: clocks and locks take no more


def parse_timeout(timeout: float | None) -> float | None:
    """Seconds, or None for no limit.

    Raises:
        InvalidArgument: it is not positive, or no number.
    """
    if timeout is None:
        return None
    try:
        seconds = float(timeout) if not isinstance(timeout, str | bytes) else 0.0
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise InvalidArgument(
            f"a timeout is a positive number of seconds, or None for no limit, not {timeout!r}"
        )
    return seconds if seconds < FOREVER else None


class Deadline:
    """When a call ends; it begins now."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self, waiting_for: str) -> float | None:
        """Seconds until then; None if there is no limit.

        Raises:
            DeadlineExceeded: there are none.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.exceeded(waiting_for)
        return left

    def exceeded(self, waiting_for: str) -> DeadlineExceeded:
        return DeadlineExceeded(f"no {waiting_for} within {self.timeout} s")


def in_thread(function: Callable[..., Result], *args: Any) -> "Future[Result]":
    """The function in a thread of its own: no busy pool delays it, no exit waits for it."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()  # it cannot be cancelled
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(function, *args)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    try:
        jobs = _IDLE.pop()
    except IndexError:
        jobs = queue.SimpleQueue()
        threading.Thread(target=_work, args=(jobs,), name="gazecrop", daemon=True).start()
    jobs.put(run)
    return future


def _work(jobs: Jobs) -> None:
    while True:
        try:
            job = jobs.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            try:
                _IDLE.remove(jobs)
            except ValueError:
                continue  # somebody has taken it just now
            return
        job()
        del job  # and what it holds
        _IDLE.append(jobs)


def wait(future: "Future[Result]", deadline: Deadline, waiting_for: str) -> Result:
    """What a thread returns.

    Raises:
        DeadlineExceeded: not in time; the thread is left alone.
    """
    try:
        return future.result(deadline.left(waiting_for))
    except FutureTimeout:
        if future.done():  # the function's own
            raise
        raise deadline.exceeded(waiting_for) from None


async def wait_async(future: "Future[Result]", deadline: Deadline, waiting_for: str) -> Result:
    """The same in an event loop."""
    waiter = asyncio.wrap_future(future)
    try:
        await asyncio.wait({waiter}, timeout=deadline.left(waiting_for))
        if not waiter.done():
            raise deadline.exceeded(waiting_for)
        return waiter.result()
    finally:
        waiter.cancel()  # nobody asks for what still comes
