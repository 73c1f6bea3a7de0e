"""TIFF: read by strips or tiles, whatever its depth, planes and compression."""

import struct
from typing import Any

import pyvips
import shrinking
from directories import (
    BITS,
    HEIGHT,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    SAMPLES,
    SIGNATURES,
    TILE_HEIGHT,
    WIDTH,
    Directory,
    begins_with_thumbnail,
    directories,
    first,
    is_raw,
    orientation,
)
from source import Source, Unusable

__all__ = ["SIGNATURES", "read"]

RGB, CIE_LAB, ICC_LAB = 2, 8, 9  # photometric interpretations
UNSIGNED = 1  # a sample format
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
    load = _load_lab if _is_lab(found[0]) else _load
    return Source(
        "TIFF",
        size,
        lambda height, width: shrinking.whole_or_most(lambda: load(data), height, width),
        orientation(data),
        memory=(shrinking.STREAMED + BUFFERS * first(found[0], TILE_HEIGHT)) * size[0] * pixel,
        work=size[0] * size[1] * pixel,
    )


def _load(data: bytes) -> Any:
    image = pyvips.Image.tiffload_buffer(data, access="sequential", fail_on="error")
    return image.colourspace("lab") if image.interpretation == "labs" else image


def _is_lab(directory: Directory) -> bool:
    """Whether this is LAB as most write it; libvips reads floats well, and what itself writes."""
    lab = first(directory, PHOTOMETRIC) in (CIE_LAB, ICC_LAB)
    return lab and first(directory, SAMPLE_FORMAT, UNSIGNED) == UNSIGNED


def _load_lab(data: bytes) -> Any:
    """LAB whose a and b are stored from 0, neutral in the middle: averages of signed ones are none.

    Libvips 8.18 fails on it in 8 bits, and takes 16 for other numbers. So it reads them as RGB.
    """
    head = ("<" if data.startswith(b"I") else ">") + ("HHQH" if 43 in data[2:4] else "HHIH")
    told = [struct.pack(head, PHOTOMETRIC, 3, 1, space) for space in (CIE_LAB, ICC_LAB, RGB)]
    signed = told[0] in data
    image = _load(data.replace(told[0] if signed else told[1], told[2], 1)).extract_band(0, n=3)
    if signed:
        middle = 1 << (15 if image.format == "ushort" else 7)
        image = image ^ [0, middle, middle]
    return image.copy(interpretation="lab")
