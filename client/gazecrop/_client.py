"""The connection to a Triton that serves `saliency`, for programs without an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
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
from gazecrop._deadline import Deadline, Timeout, in_thread, wait
from gazecrop._errors import GazecropError, InvalidArgument
from gazecrop._geometry import Ratio
from gazecrop._photo import upload
from gazecrop._pipeline import in_order
from gazecrop._saliency import CropOptions, Cutter, Saliency
from gazecrop._source import Photo, in_memory, is_file, may_stall, parse_photos, read
from gazecrop._thumbnail import ThumbnailOptions, Thumbnails, ThumbnailSize

Result = TypeVar("Result")


class Client(Connection):
    """Predicts where people look, by asking a Triton over gRPC. Threads may share it.

    A call that finds no server, or a full queue, is tried again within its timeout, up to four
    times. The client outlives its server: once that is back, calls succeed again.

    Every failure of a call is a `gazecrop.GazecropError`, whose kinds say what to do.
    """

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take no more calls, and give the connection back; calls under way are still answered."""
        self._close()

    def predict(
        self, photo: Photo, *, timeout: Timeout = "client's", metadata: Metadata | None = None
    ) -> Saliency:
        """Where people will look in a photo.

        Args:
            photo: a path, the file's bytes, an open file, which is read from its start and left
                where it stood, a PIL image, or a uint8 array of pixels [h, w], RGB or RGBA.
            timeout: seconds instead of the client's; None for no limit.
            metadata: sent besides the client's: trace context, say.

        Raises:
            gazecrop.InvalidArgument: this is no photo, or its file cannot be read.
            gazecrop.ImageRejected: the server cannot use it, for the reason in the message.
            gazecrop.ServerUnreachable, gazecrop.DeadlineExceeded, gazecrop.ServerFailed: no
                usable answer, for the reason in the message.
        """
        return self._predict(Taken(photo, self._deadline(timeout)), metadata)

    @overload
    def crop(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photo: Photo,
        ratios: Ratio,
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Crop: ...

    @overload
    def crop(
        self,
        photo: Photo,
        ratios: Iterable[Ratio],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> list[Crop]: ...

    def crop(
        self,
        photo: Photo,
        ratios: Ratio | Iterable[Ratio],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Crop | list[Crop]:
        """The best crop of a photo for each aspect ratio, in their order: one round trip.

        For one ratio, as "16:9" or (1200, 675), it is one crop; for a list of them a list.

        Args:
            photo, timeout, metadata: as for `predict`.
            ratios: width to height, each as "16:9", 1.78 or (1200, 675).
            options: focus, keep, avoid, zoom, tolerance, min_kept, method; see
                `gazecrop.CropOptions`.

        Raises:
            gazecrop.InvalidArgument: one of the ratios is none, or an option makes no sense for
                any photo; nothing was sent.
            gazecrop.GazecropError: besides, whatever `predict` and `Saliency.crop` raise.
        """
        cut = Cutter(ratios, options)
        return cut(self.predict(photo, timeout=timeout, metadata=metadata))

    @overload
    def thumbnail(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photo: Photo,
        sizes: ThumbnailSize,
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes: ...

    @overload
    def thumbnail(
        self,
        photo: Photo,
        sizes: Iterable[ThumbnailSize],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> list[bytes]: ...

    def thumbnail(
        self,
        photo: Photo,
        sizes: ThumbnailSize | Iterable[ThumbnailSize],
        *,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes | list[bytes]:
        """Finished pictures of a photo, encoded, from one prediction and one decoding.

        For one size, as "400x300" or (400, 300), it is one file; for a list of them a list. Photos
        are cropped to the shape, resized without enlarging, turned upright, and rid of metadata.

        Args:
            photo, timeout, metadata: as for `predict`. Making the pictures does not count as time.
            sizes: width and height in pixels.
            options: format, quality, focus_fraction, min_size, pad, colour, keep_copyright, and
                what `crop` takes; see `gazecrop.ThumbnailOptions`.

        Raises:
            gazecrop.InvalidArgument: a size or an option makes no sense, and nothing was sent; or
                Pillow cannot decode the photo.
            gazecrop.GazecropError: besides, whatever `predict` and `Saliency.crop` raise.
        """
        thumbnails = Thumbnails(sizes, options)
        deadline = self._deadline(timeout)
        held = in_memory(self._read(photo, deadline))
        return thumbnails(held, self._predict(Taken(held, deadline), metadata))

    def predict_many(
        self,
        photos: Iterable[Photo],
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
    ) -> Generator[Saliency | GazecropError, None, None]:
        """Where people will look in each photo, in order; where one fails stands its error.

        Photos are read, and results kept, no more than `in_flight` ahead of the caller. Open files
        are read when their turn comes, so that the next may take their place.

        Args:
            photos: each as for `predict`. What this source raises comes after the results of the
                photos before it.
            in_flight: how many at a time.
            timeout, metadata: of each photo, as for `predict`.

        Raises:
            gazecrop.InvalidArgument: these are no photos, or a setting makes no sense.
        """
        return self._many(self._predict, photos, in_flight, timeout, metadata)

    @overload
    def crop_many(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photos: Iterable[Photo],
        ratios: Ratio,
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Generator[Crop | GazecropError, None, None]: ...

    @overload
    def crop_many(
        self,
        photos: Iterable[Photo],
        ratios: Iterable[Ratio],
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Generator[list[Crop] | GazecropError, None, None]: ...

    def crop_many(
        self,
        photos: Iterable[Photo],
        ratios: Ratio | Iterable[Ratio],
        *,
        in_flight: int = 8,
        timeout: Timeout = "client's",
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> Generator[Crop | list[Crop] | GazecropError, None, None]:
        """The crops of each photo, in order; where one fails stands its error.

        Args:
            photos, in_flight, timeout, metadata: as for `predict_many`.
            ratios, options: as for `crop`.

        Raises:
            gazecrop.InvalidArgument: one of the ratios is none, or as for `predict_many`; nothing
                was sent.
        """
        cut = Cutter(ratios, options)

        def crop(photo: Taken, metadata: Metadata | None) -> Crop | list[Crop]:
            return cut(self._predict(photo, metadata))

        return self._many(crop, photos, in_flight, timeout, metadata)

    def is_ready(self) -> bool:
        """Whether the server predicts: it is asked to, of a tiny photo.

        Raises:
            gazecrop.ServerUnreachable, gazecrop.DeadlineExceeded: no answer, for the reason in
                the message.
        """
        return self._problem()[1] is None

    def ping(self) -> Status:
        """What server answers, with which network, and how fast it predicts a tiny photo.

        Raises:
            gazecrop.ServerUnreachable, gazecrop.DeadlineExceeded, gazecrop.ServerFailed: no
                usable answer, for the reason in the message.
        """
        with self._call(self._deadline("client's"), None) as call:
            server = self._ask("metadata", METADATA, call)  # connects: that counts for nothing
        started = time.perf_counter()
        model, problem = self._problem()
        seconds = time.perf_counter() - started
        return Status(problem is None, server.name, server.version, seconds, model, problem)

    def _problem(self) -> tuple[str | None, str | None]:
        """The network that predicts, and why none does where a server is there."""
        try:
            return self.predict(tiny_photo()).model, None
        except GazecropError as error:
            if not has_answered(error):
                raise
            return None, str(error)

    def _predict(self, taken: Taken, metadata: Metadata | None) -> Saliency:
        with self._call(taken.deadline, metadata) as call, self._turn(call):
            photo = self._read(taken.usable(), taken.deadline)
            sent = upload(photo, self.shrink_above)
            return self._answer(self._ask("infer", request(sent), call), sent)

    def _read(self, photo: Photo, deadline: Deadline) -> Photo:
        """The photo, from memory if to read it could outlast the deadline."""
        if may_stall(photo):
            return wait(in_thread(read, photo), deadline, "whole photo")
        return photo

    def _many(
        self,
        function: Callable[[Taken, Metadata | None], Result],
        photos: Iterable[Photo],
        in_flight: int,
        timeout: Timeout,
        metadata: Metadata | None,
    ) -> Generator[Result | GazecropError, None, None]:
        self._deadline(timeout)
        headers = checked(metadata)
        if not hasattr(parse_photos(photos), "__iter__"):
            raise InvalidArgument("an asynchronous source of photos needs an AsyncClient")
        taken = (self._taken(photo, timeout) for photo in photos)
        return in_order(lambda photo: function(photo, headers), taken, in_flight)

    def _taken(self, photo: Photo, timeout: Timeout) -> Taken:
        """A photo whose time runs; of a file the bytes, since its owner may close it or read on."""
        deadline = self._deadline(timeout)
        if not is_file(photo):
            return Taken(photo, deadline)
        try:
            return Taken(read(self._read(photo, deadline)), deadline)
        except GazecropError as error:
            return Taken(error, deadline)

    @contextmanager
    def _turn(self, call: Call) -> Iterator[None]:
        turns = call.servers.turns
        if waiter := turns.take():
            try:
                wait(waiter, call.deadline, call.turn)
            except BaseException:
                turns.give_up(waiter)
                raise
        try:
            yield
        finally:
            turns.give()

    def _ask(self, method: str, message: bytes, call: Call) -> Any:
        """One of Triton's answers, of as many attempts as it takes."""
        while True:
            if resolving := call.servers.resolving():
                wait(resolving, call.deadline, call.answer)
            try:
                response = getattr(call.servers.methods, method)(message, **call.arguments())
                call.succeeded()
                return response
            except grpc.RpcError as failure:
                pause = call.wait_after(failure)
            time.sleep(pause)
