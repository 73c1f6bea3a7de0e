"""The connection to a Triton that serves `saliency`, for programs with an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import overload

import tritonclient.grpc.aio as triton
from typing_extensions import Unpack

from gazecrop._connection import MODEL, Connection, Metadata, Status, inputs, tiny_photo
from gazecrop._crop import Crop
from gazecrop._errors import GazecropError, ImageRejected, ServerFailed
from gazecrop._geometry import Ratio, parse_ratio
from gazecrop._photo import upload
from gazecrop._pipeline import in_order_async
from gazecrop._saliency import CropOptions, Saliency
from gazecrop._source import Photo, in_memory
from gazecrop._thumbnail import ThumbnailOptions, Thumbnails, ThumbnailSize


class AsyncClient(Connection):
    """`Client` with its methods awaited; made and used in one event loop.

    Cancelling a task cancels its call on the server. Files are read, and large photos shrunk,
    in threads: the loop stays free.
    """

    _Triton = triton.InferenceServerClient

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
        self._closed = True
        await self._triton.close()

    async def predict(
        self, photo: Photo, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Saliency:
        """As `Client.predict`."""
        call = self._call(timeout, metadata)
        sent = await asyncio.to_thread(upload, photo, self.shrink_above)
        with self._errors(timeout):
            return self._answer(await self._triton.infer(MODEL, inputs(sent), **call), sent)

    async def crop(
        self,
        photo: Photo,
        ratios: Iterable[Ratio],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> list[Crop]:
        """As `Client.crop`."""
        shapes = [parse_ratio(ratio) for ratio in ratios]
        saliency = await self.predict(photo, timeout=timeout, metadata=metadata)
        return [saliency.crop(shape, **options) for shape in shapes]

    @overload
    async def thumbnail(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photo: Photo,
        sizes: ThumbnailSize,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes: ...

    @overload
    async def thumbnail(
        self,
        photo: Photo,
        sizes: Iterable[ThumbnailSize],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> list[bytes]: ...

    async def thumbnail(
        self,
        photo: Photo,
        sizes: ThumbnailSize | Iterable[ThumbnailSize],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes | list[bytes]:
        """As `Client.thumbnail`; the pictures are made in a thread."""
        thumbnails = Thumbnails(sizes, options)
        held = await asyncio.to_thread(in_memory, photo)
        saliency = await self.predict(held, timeout=timeout, metadata=metadata)
        return await asyncio.to_thread(thumbnails, held, saliency)

    def predict_many(
        self, photos: Iterable[Photo], *, in_flight: int = 8
    ) -> AsyncIterator[Saliency | GazecropError]:
        """As `Client.predict_many`, with `async for`."""
        return in_order_async(self.predict, photos, in_flight)

    def crop_many(
        self,
        photos: Iterable[Photo],
        ratios: Iterable[Ratio],
        *,
        in_flight: int = 8,
        **options: Unpack[CropOptions],
    ) -> AsyncIterator[list[Crop] | GazecropError]:
        """As `Client.crop_many`, with `async for`."""
        shapes = [parse_ratio(ratio) for ratio in ratios]
        return in_order_async(lambda photo: self.crop(photo, shapes, **options), photos, in_flight)

    async def is_ready(self) -> bool:
        """As `Client.is_ready`."""
        return (await self._problem())[1] is None

    async def ping(self) -> Status:
        """As `Client.ping`."""
        call = self._call(None, None)
        with self._errors(None):
            server = await self._triton.get_server_metadata(**call)
        started = time.perf_counter()
        model, problem = await self._problem()
        seconds = time.perf_counter() - started
        return Status(problem is None, server.name, server.version, seconds, model, problem)

    async def _problem(self) -> tuple[str | None, str | None]:
        try:
            return (await self.predict(tiny_photo())).model, None
        except (ServerFailed, ImageRejected) as error:
            return None, str(error)
