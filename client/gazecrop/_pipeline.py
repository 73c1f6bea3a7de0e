"""Many calls at a time, their results in order, and an error in the place of its item."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from gazecrop._errors import GazecropError, InvalidArgument

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], in_flight: int
) -> Generator[Result | GazecropError, None, None]:
    """The function of each item, in threads. Closing the iterator drops what has not begun.

    Items are taken, and results kept, no more than `in_flight` ahead of the caller.

    Raises:
        InvalidArgument: `in_flight` is less than 1.
    """
    _check(in_flight)
    return _in_threads(lambda item: _outcome(function, item), items, in_flight)


def in_order_async(
    function: Callable[[Item], Coroutine[Any, Any, Result]], items: Iterable[Item], in_flight: int
) -> AsyncIterator[Result | GazecropError]:
    """The same in tasks. Closing the iterator cancels what has not ended."""
    _check(in_flight)
    return _in_tasks(lambda item: _async_outcome(function(item)), items, in_flight)


def _check(in_flight: int) -> None:
    if in_flight < 1:
        raise InvalidArgument(f"in_flight is at least 1, not {in_flight!r}")


def _in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], in_flight: int
) -> Generator[Result, None, None]:
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(in_flight, "gazecrop") as pool:
        try:
            for item in items:
                if len(waiting) == in_flight:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


async def _in_tasks(
    function: Callable[[Item], Coroutine[Any, Any, Result]], items: Iterable[Item], in_flight: int
) -> AsyncIterator[Result]:
    waiting: deque[asyncio.Task[Result]] = deque()
    try:
        for item in items:
            if len(waiting) == in_flight:
                yield await waiting.popleft()
            waiting.append(asyncio.create_task(function(item)))
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


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
