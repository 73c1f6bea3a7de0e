"""Many calls at a time, their results in order, and an error in the place of its item."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

from gazecrop._errors import GazecropError
from gazecrop._geometry import parse_count

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], in_flight: int
) -> Generator[Result | GazecropError, None, None]:
    """The function of each item, in threads. Closing the iterator drops what has not begun.

    Items are taken, and results kept, no more than `in_flight` ahead of the caller. What their
    source raises comes after the results of those that it gave.

    Raises:
        InvalidArgument: `in_flight` is no whole number of at least 1.
    """
    parse_count("in_flight", in_flight)
    return _in_threads(lambda item: _outcome(function, item), items, in_flight)


def in_order_async(
    function: Callable[[Item], Coroutine[Any, Any, Result]],
    items: AsyncGenerator[Item, None],
    in_flight: int,
) -> AsyncGenerator[Result | GazecropError, None]:
    """The same in tasks. Closing the iterator cancels what has not ended."""
    parse_count("in_flight", in_flight)
    return _in_tasks(lambda item: _async_outcome(function(item)), items, in_flight)


def _in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], in_flight: int
) -> Generator[Result, None, None]:
    waiting: deque[Future[Result]] = deque()
    end: Exception | None = None
    with ThreadPoolExecutor(in_flight, "gazecrop") as pool:
        try:
            source = iter(items)
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    break
                except Exception as error:
                    end = error
                    break
                if len(waiting) == in_flight:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    if end:
        raise end


async def _in_tasks(
    function: Callable[[Item], Coroutine[Any, Any, Result]],
    items: AsyncGenerator[Item, None],
    in_flight: int,
) -> AsyncGenerator[Result, None]:
    begun: asyncio.Queue[asyncio.Task[Result] | None] = asyncio.Queue()
    places = asyncio.Semaphore(in_flight)
    tasks: set[asyncio.Task[Result]] = set()

    async def feed() -> None:
        try:
            async with aclosing(items):
                async for item in items:
                    await places.acquire()
                    task = asyncio.create_task(function(item))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                    begun.put_nowait(task)
        finally:
            begun.put_nowait(None)

    feeding = asyncio.create_task(feed())  # one task takes all items: their source may rely on it
    try:
        while task := await begun.get():
            yield await task
            places.release()
        await feeding
    finally:
        running = [feeding, *tasks]
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _outcome(function: Callable[[Item], Result], item: Item) -> Result | GazecropError:
    try:
        return function(item)
    except GazecropError as error:
        return error


async def _async_outcome(call: Coroutine[Any, Any, Result]) -> Result | GazecropError:
    try:
        return await call
    except GazecropError as error:
        return error
