"""The connection to a Triton that serves `saliency`, for programs without an event loop."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import overload

import tritonclient.grpc as triton
from typing_extensions import Unpack

from gazecrop._connection import MODEL, Connection, Metadata, Status, inputs, tiny_photo
from gazecrop._crop import Crop
from gazecrop._errors import GazecropError, ImageRejected, ServerFailed
from gazecrop._geometry import Ratio, parse_ratio
from gazecrop._photo import upload
from gazecrop._pipeline import in_order
from gazecrop._saliency import CropOptions, Saliency
from gazecrop._source import Photo, in_memory
from gazecrop._thumbnail import ThumbnailOptions, Thumbnails, ThumbnailSize


class Client(Connection):
    """Predicts where people look, by asking a Triton over gRPC. Threads may share it.

    A call that finds no server, or a full queue, is tried again within its timeout, up to four
    times. The client outlives its server: once that is back, calls succeed again.

    Every failure of a call is a `gazecrop.GazecropError`, whose kinds say what to do.
    """

    _Triton = triton.InferenceServerClient

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
        """Give the connection back."""
        self._closed = True
        self._triton.close()

    def predict(
        self, photo: Photo, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Saliency:
        """Where people will look in a photo.

        Args:
            photo: a path, the file's bytes, an open file, which is read from its start and left
                where it stood, a PIL image, or a uint8 array of pixels [h, w], RGB or RGBA.
            timeout: seconds, instead of the client's.
            metadata: sent besides the client's: trace context, say.

        Raises:
            gazecrop.InvalidArgument: this is no photo, or its file cannot be read.
            gazecrop.ImageRejected: the server cannot use it, for the reason in the message.
            gazecrop.ServerUnreachable, gazecrop.DeadlineExceeded, gazecrop.ServerFailed: no
                usable answer, for the reason in the message.
        """
        call = self._call(timeout, metadata)
        sent = upload(photo, self.shrink_above)
        with self._errors(timeout):
            return self._answer(self._triton.infer(MODEL, inputs(sent), **call), sent)

    def crop(
        self,
        photo: Photo,
        ratios: Iterable[Ratio],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[CropOptions],
    ) -> list[Crop]:
        """The best crop of a photo for each aspect ratio, in their order: one round trip.

        Args:
            photo, timeout, metadata: as for `predict`.
            ratios: width to height, each as "16:9", 1.78 or (1200, 675).
            options: focus, keep, avoid, zoom, tolerance, min_kept, method; see
                `gazecrop.CropOptions`.

        Raises:
            gazecrop.InvalidArgument: one of the ratios is none; nothing was sent.
            Besides, whatever `predict` and `Saliency.crop` raise.
        """
        shapes = [parse_ratio(ratio) for ratio in ratios]
        saliency = self.predict(photo, timeout=timeout, metadata=metadata)
        return [saliency.crop(shape, **options) for shape in shapes]

    @overload
    def thumbnail(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        photo: Photo,
        sizes: ThumbnailSize,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> bytes: ...

    @overload
    def thumbnail(
        self,
        photo: Photo,
        sizes: Iterable[ThumbnailSize],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **options: Unpack[ThumbnailOptions],
    ) -> list[bytes]: ...

    def thumbnail(
        self,
        photo: Photo,
        sizes: ThumbnailSize | Iterable[ThumbnailSize],
        *,
        timeout: float | None = None,
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
            Besides, whatever `predict` and `Saliency.crop` raise.
        """
        thumbnails = Thumbnails(sizes, options)
        held = in_memory(photo)
        return thumbnails(held, self.predict(held, timeout=timeout, metadata=metadata))

    def predict_many(
        self, photos: Iterable[Photo], *, in_flight: int = 8
    ) -> Iterator[Saliency | GazecropError]:
        """Where people will look in each photo, in order; where one fails stands its error.

        Photos are read, and results kept, no more than `in_flight` ahead of the caller.
        """
        return in_order(self.predict, photos, in_flight)

    def crop_many(
        self,
        photos: Iterable[Photo],
        ratios: Iterable[Ratio],
        *,
        in_flight: int = 8,
        **options: Unpack[CropOptions],
    ) -> Iterator[list[Crop] | GazecropError]:
        """The crops of each photo, in order; where one fails stands its error.

        Args:
            photos, in_flight: as for `predict_many`.
            ratios, options: as for `crop`.

        Raises:
            gazecrop.InvalidArgument: one of the ratios is none; nothing was sent.
        """
        shapes = [parse_ratio(ratio) for ratio in ratios]
        return in_order(lambda photo: self.crop(photo, shapes, **options), photos, in_flight)

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
        call = self._call(None, None)
        with self._errors(None):
            server = self._triton.get_server_metadata(**call)  # connects: that counts for nothing
        started = time.perf_counter()
        model, problem = self._problem()
        seconds = time.perf_counter() - started
        return Status(problem is None, server.name, server.version, seconds, model, problem)

    def _problem(self) -> tuple[str | None, str | None]:
        """The network that predicts, and why none does where a server is there."""
        try:
            return self.predict(tiny_photo()).model, None
        except (ServerFailed, ImageRejected) as error:
            return None, str(error)
