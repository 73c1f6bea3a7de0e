"""TIFF: read by strips or tiles, whatever its depth, planes and compression."""

from typing import Any

import pyvips
import shrinking
from directories import (
    BITS,
    HEIGHT,
    SAMPLES,
    SIGNATURES,
    TILE_HEIGHT,
    WIDTH,
    begins_with_thumbnail,
    directories,
    first,
    is_raw,
    orientation,
)
from source import Source, Unusable

__all__ = ["SIGNATURES", "read"]

BUFFERS = 4  # of a row of tiles: decoded, ordered, converted, and one read ahead


def read(data: bytes) -> Source:
    """Read a TIFF's header.

    Raises:
        Unusable: it has none, or its first image is not the photo.
    """
    found = list(directories(data))
    size = (first(found[0], WIDTH), first(found[0], HEIGHT)) if found else (0, 0)
    if not all(size):
        raise Unusable("read: the TIFF's header is damaged", "damaged", "TIFF")
    if is_raw(found):
        raise Unusable("read: a camera's raw file (DNG or alike); send a JPEG of it", "raw", "TIFF")
    if begins_with_thumbnail(found):
        message = "read: the TIFF begins with a small copy of its photo; send the photo alone"
        raise Unusable(message, "thumbnail first", "TIFF")
    pixel = first(found[0], SAMPLES, 1) * max(8, first(found[0], BITS, 8)) // 8  # bytes
    return Source(
        "TIFF",
        size,
        lambda height, width: shrinking.whole_or_most(lambda: _load(data), height, width),
        orientation(data),
        memory=(shrinking.STREAMED + BUFFERS * first(found[0], TILE_HEIGHT)) * size[0] * pixel,
        work=size[0] * size[1] * pixel,
    )


def _load(data: bytes) -> Any:
    return pyvips.Image.tiffload_buffer(data, access="sequential", fail_on="error")
