"""The connection to a Triton that serves `saliency`, for programs with an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
)
from types import TracebackType
from typing import Any, TypeVar, overload

import grpc
from typing_extensions import Unpack

from gazecrop._connection import (
    METADATA,
    Call,
    Connection,
    Metadata,
    Status,
    Taken,
    checked,
    has_answered,
    request,
    tiny_photo,
)
from gazecrop._crop import Crop
from gazecrop._deadline import Deadline, Timeout, in_thread, wait_async
from gazecrop._errors import GazecropError, InvalidArgument
from gazecrop._geometry import Ratio
from gazecrop._photo import Upload, upload
from gazecrop._pipeline import in_order_async
from gazecrop._saliency import CropOptions, Cutter, Saliency
from gazecrop._source import Photo, in_memory, is_file, parse_photos, read
from gazecrop._thumbnail import ThumbnailOptions, Thumbnails, ThumbnailSize

AT_ONCE = 2**18  # bytes of a photo in memory whose preparation does not hold up an event loop

Result = TypeVar("Result")


class AsyncClient(Connection):
    """`Client` with its methods awaited, in whichever event loops of asyncio call it.

    Cancelling a task cancels its call on the server. Files are read, and large photos shrunk,
    in threads: the loop stays free.
    """

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """As `Client.close`."""
        self._close()

    async def predict(
        self, photo: Photo, *, timeout: Timeout = "client's", metadata: Metadata | None = None
    ) -> Saliency:
        """As `Client.predict`."""
        return await self._predict(Taken(photo, self._deadline(timeout)), metadata)

    @overload
    async def crop(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photo: Photo,
        ratios: Ratio,
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Crop: ...

    @overload
    async def crop(
        self,
        photo: Photo,
        ratios: Iterable[Ratio],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> list[Crop]: ...

    async def crop(
        self,
        photo: Photo,
        ratios: Ratio | Iterable[Ratio],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Crop | list[Crop]:
        """As `Client.crop`."""
        cut = Cutter(ratios, options)
        return cut(await self.predict(photo, timeout=timeout, metadata=metadata))

    @overload
    async def thumbnail(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photo: Photo,
        sizes: ThumbnailSize,
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes: ...

    @overload
    async def thumbnail(
        self,
        photo: Photo,
        sizes: Iterable[ThumbnailSize],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> list[bytes]: ...

    async def thumbnail(
        self,
        photo: Photo,
        sizes: ThumbnailSize | Iterable[ThumbnailSize],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes | list[bytes]:
        """As `Client.thumbnail`; the pictures are made in a thread."""
        thumbnails = Thumbnails(sizes, options)
        deadline = self._deadline(timeout)
        held = await wait_async(in_thread(in_memory, photo), deadline, "whole photo")
        with self._call(deadline, metadata) as call:
            async with _turn(call):
                saliency = await self._predicted(held, call)
                return await asyncio.wrap_future(in_thread(thumbnails, held, saliency))

    def predict_many(
        self,
        photos: Iterable[Photo] | AsyncIterable[Photo],
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Saliency | GazecropError, None]:
        """As `Client.predict_many`, with `async for`; the photos may come so as well."""
        return self._many(self._predict, photos, in_flight, timeout, metadata)

    @overload
    def crop_many(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photos: Iterable[Photo] | AsyncIterable[Photo],
        ratios: Ratio,
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> AsyncGenerator[Crop | GazecropError, None]: ...

    @overload
    def crop_many(
        self,
        photos: Iterable[Photo] | AsyncIterable[Photo],
        ratios: Iterable[Ratio],
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> AsyncGenerator[list[Crop] | GazecropError, None]: ...

    def crop_many(
        self,
        photos: Iterable[Photo] | AsyncIterable[Photo],
        ratios: Ratio | Iterable[Ratio],
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> AsyncGenerator[Crop | list[Crop] | GazecropError, None]:
        """As `Client.crop_many`, with `async for`; the photos may come so as well."""
        cut = Cutter(ratios, options)

        async def crop(photo: Taken, metadata: Metadata | None) -> Crop | list[Crop]:
            return cut(await self._predict(photo, metadata))

        return self._many(crop, photos, in_flight, timeout, metadata)

    async def is_ready(self) -> bool:
        """As `Client.is_ready`."""
        return (await self._problem())[1] is None

    async def ping(self) -> Status:
        """As `Client.ping`."""
        with self._call(self._deadline("client's"), None) as call:
            server = await self._ask("metadata", METADATA, call)
        started = time.perf_counter()
        model, problem = await self._problem()
        seconds = time.perf_counter() - started
        return Status(problem is None, server.name, server.version, seconds, model, problem)

    async def _problem(self) -> tuple[str | None, str | None]:
        try:
            return (await self.predict(tiny_photo())).model, None
        except GazecropError as error:
            if not has_answered(error):
                raise
            return None, str(error)

    async def _predict(self, taken: Taken, metadata: Metadata | None) -> Saliency:
        with self._call(taken.deadline, metadata) as call:
            async with _turn(call):
                return await self._predicted(taken.usable(), call)

    async def _predicted(self, photo: Photo, call: Call) -> Saliency:
        sent, message = await self._prepared(photo, call.deadline)
        return self._answer(await self._ask("infer", message, call), sent)

    async def _prepared(self, photo: Photo, deadline: Deadline) -> tuple[Upload, bytes]:
        if type(photo) is bytes and len(photo) <= AT_ONCE:
            return _prepare(photo, self.shrink_above)
        preparing = in_thread(_prepare, photo, self.shrink_above)
        return await wait_async(preparing, deadline, "whole photo")

    def _many(
        self,
        function: Callable[[Taken, Metadata | None], Coroutine[Any, Any, Result]],
        photos: Iterable[Photo] | AsyncIterable[Photo],
        in_flight: int,
        timeout: Timeout,
        metadata: Metadata | None,
    ) -> AsyncGenerator[Result | GazecropError, None]:
        self._deadline(timeout)
        headers = checked(metadata)
        taken = self._taken(parse_photos(photos), timeout)
        return in_order_async(lambda photo: function(photo, headers), taken, in_flight)

    async def _taken(
        self, photos: Iterable[Photo] | AsyncIterable[Photo], timeout: Timeout
    ) -> AsyncGenerator[Taken, None]:
        """As `Client._taken`, of each."""
        async for photo in _each(photos):
            deadline = self._deadline(timeout)
            if not is_file(photo):
                yield Taken(photo, deadline)
                continue
            try:
                data = await wait_async(in_thread(read, photo), deadline, "whole photo")
            except GazecropError as error:
                yield Taken(error, deadline)
            else:
                yield Taken(data, deadline)

    async def _ask(self, method: str, message: bytes, call: Call) -> Any:
        """As `Client._ask`."""
        while True:
            if resolving := call.servers.resolving():
                await wait_async(resolving, call.deadline, call.answer)
            rpc = getattr(call.servers.methods, method).future(message, **call.arguments())
            try:
                await _done(rpc)
                response = rpc.result()
                call.succeeded()
                return response
            except grpc.RpcError as failure:
                pause = call.wait_after(failure)
            finally:
                rpc.cancel()
            await asyncio.sleep(pause)


def _prepare(photo: Photo, shrink_above: int | None) -> tuple[Upload, bytes]:
    sent = upload(photo, shrink_above)
    return sent, request(sent)


@contextlib.asynccontextmanager
async def _turn(call: Call) -> AsyncIterator[None]:
    turns = call.servers.turns
    if waiter := turns.take():
        try:
            await wait_async(waiter, call.deadline, call.turn)
        except BaseException:
            turns.give_up(waiter)
            raise
    try:
        yield
    finally:
        turns.give()


async def _each(photos: Iterable[Photo] | AsyncIterable[Photo]) -> AsyncIterator[Photo]:
    if isinstance(photos, AsyncIterable):
        async for photo in photos:
            yield photo
    else:
        for photo in photos:
            yield photo


async def _done(rpc: grpc.Future) -> None:
    """Until a call of gRPC's threads has ended: these serve all loops with one connection."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        raise InvalidArgument("an AsyncClient is called in an event loop of asyncio") from error
    done = loop.create_future()

    def tell(_: grpc.Future) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(_set, done)

    rpc.add_done_callback(tell)
    await done


def _set(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
