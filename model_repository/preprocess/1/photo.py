"""Uploaded files → upright RGB pixels in the network's one input shape.

Uploads are hostile. Every bound here is checked on the file's header, before any pixel is
decoded; whatever is wrong raises `Unusable`, which names the step and the reason.
"""

from typing import NamedTuple

import cv2
import formats
import numpy as np
from source import Pixels, Source, Unusable

__all__ = ["Photo", "Unusable", "Upload", "extent_on_canvas", "load", "read"]

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 128_000_000  # of the photo as declared: phones' reach 108 megapixels
MAX_MEMORY = 160_000_000  # bytes that decoding holds; with the rest of the process 256 MB
MAX_WORK = 300_000_000  # bytes that come out of a decompressor: a second's work

NEUTRAL = 128  # the network's zero: pixels enter it as x / 127.5 − 1
MAX_SQUASH = 4 / 3  # how far a photo may be stretched; training/data/framing.py says why
CELL = 16  # the sides of the framed photo are multiples of the network's coarsest stride

# How numpy turns what is stored in an EXIF orientation: transposed, then flipped along these axes
SIDEWAYS = (5, 6, 7, 8)  # exchange width and height
FLIPPED = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}


class Photo(NamedTuple):
    """A photo on the canvas.

    Attributes:
        pixels: uint8 [canvas, canvas, 3].
        extent: the height and width that the photo takes there.
        size: width and height of the upright photo.
        format: of the upload.
    """

    pixels: Pixels
    extent: tuple[int, int]
    size: tuple[int, int]
    format: str


class Upload(NamedTuple):
    """An upload that keeps every bound, and where it will be on the canvas.

    Attributes:
        extent, size: as of the `Photo`.
    """

    source: Source
    size: tuple[int, int]
    extent: tuple[int, int]
    canvas: int

    @property
    def stored_extent(self) -> tuple[int, int]:
        """The extent before the photo is turned."""
        return self.extent[::-1] if self.source.orientation in SIDEWAYS else self.extent

    def decode(self) -> Photo:
        """
        Raises:
            Unusable: the file is damaged.
        """
        format = self.source.format
        try:
            pixels = _resized(self.source.decode(*self.stored_extent), *self.stored_extent)
        except Exception as error:  # the decoders raise many kinds on damaged data
            reason = " ".join(str(error).split()) or type(error).__name__
            message = f"decode: the {format} is damaged or cut off: {reason}"
            raise Unusable(message, "damaged", format) from error
        return self.on_canvas(pixels)

    def on_canvas(self, pixels: Pixels) -> Photo:
        """The photo whose pixels [*stored_extent, 3] these are."""
        upright = _upright(pixels, self.source.orientation)
        return Photo(_centred(upright, self.canvas), self.extent, self.size, self.source.format)


def load(data: bytes, canvas: int) -> Photo:
    """Decode an upload onto the canvas.

    Raises:
        Unusable: with the step and the reason.
    """
    return read(data, canvas).decode()


def read(data: bytes, canvas: int) -> Upload:
    """Read an upload's header and hold it against every bound.

    Raises:
        Unusable: with the step and the reason.
    """
    source = _opened(data)
    size = source.size[::-1] if source.orientation in SIDEWAYS else source.size
    return Upload(source, size, extent_on_canvas(*size, canvas), canvas)


def extent_on_canvas(width: int, height: int, canvas: int) -> tuple[int, int]:
    """Height and width in pixels that a photo of this size takes on the canvas."""
    longest = max(width, height)

    def fit(side: int) -> int:
        return max(CELL, round(canvas * min(1, MAX_SQUASH * side / longest) / CELL) * CELL)

    return fit(height), fit(width)


def _opened(data: bytes) -> Source:
    """Read the header and hold it against every bound."""
    if not data:
        raise Unusable("read: the file is empty", "empty")
    if len(data) > MAX_BYTES:
        message = f"read: {len(data):,} bytes; at most {MAX_BYTES:,} are accepted"
        raise Unusable(message, "too many bytes")
    source = formats.read(data)
    width, height = source.size
    if width < 1 or height < 1:
        raise Unusable(f"read: the {source.format} has no pixels", "damaged", source.format)
    asked = f"read: {width}×{height} is {width * height:,} pixels"
    if width * height > MAX_PIXELS:
        message = f"{asked}; at most {MAX_PIXELS:,} are accepted"
        raise Unusable(message, "too many pixels", source.format)
    for needed, most, what in (
        (source.memory, MAX_MEMORY, "bytes of memory"),
        (source.work, MAX_WORK, "bytes to decompress"),
    ):
        if needed > most:
            message = (
                f"{asked}, in this {source.format} {needed:,} {what}; at most {most:,} are given"
            )
            raise Unusable(message, f"too many {what}", source.format)
    return source


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Shrink and stretch what was decoded."""
    if pixels.shape[0] > 2 * height or pixels.shape[1] > 2 * width:
        # Bilinear interpolation would skip pixels. Where it skips none it does for the network,
        # in a seventh of the time.
        smaller = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    turned = pixels.swapaxes(0, 1) if orientation in SIDEWAYS else pixels
    return np.flip(turned, FLIPPED.get(orientation, ()))


def _centred(pixels: Pixels, canvas: int) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = (canvas - height) // 2, (canvas - width) // 2
    framed = np.full((canvas, canvas, 3), NEUTRAL, np.uint8)
    framed[top : top + height, left : left + width] = pixels
    return framed
