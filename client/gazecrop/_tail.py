"""Photos whose last rows are missing: nine tenths of them are a photo, the rest becomes grey.

The server has the same rule and counts alike, so what it accepts can be cut. Pillow shows such
photos only where the whole process is told to do so; here one photo is, and no other.
"""

import itertools
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from gazecrop._container import MAX_SEGMENTS, START_OF_SCAN, contents, segments
from gazecrop._modes import in_8_bits, resizable

Opened: TypeAlias = tuple[ImageFile.ImageFile, int]  # and the orientation in which it is stored
Rows: TypeAlias = NDArray[np.bool_]  # of a picture from the top: which are there

ENOUGH = 0.9
STRIP = 16  # rows of a PNG or TIFF that the server decodes at once
BITS_PER_SAMPLE, COMPRESSION, ROWS_PER_STRIP = 258, 259, 278  # tags of TIFF
AT_ONCE = 256  # rows that are compared, which takes memory
MAX_PIXELS = 128_000_000  # the server takes no larger photos
PART = 8192  # bytes of a strip that libtiff reads in parts
LOST = 128
GREYS: dict[str, int | tuple[int, ...]] = {
    "LA": (LOST, 255),
    "RGBA": (LOST, LOST, LOST, 255),
    "I;16": LOST * 257,
}
GROUNDS, PADDINGS = (0, 255), (b"\0", b"\xa5")  # what differs by them is not in the file
LOST_IN_JPEG = (127, 128)  # what libjpeg makes of lost samples, and that inverted
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG markers
END_OF_IMAGE = b"\xff\xd9"
ENTROPY = b"\x5a\xa5\x3c\xd2" * 100  # that the scan of a JPEG takes, if it is short of it
COEFFICIENTS = range(64)  # of a block
WEBP_HEAD = 8  # bytes that are not counted in its length


def with_grey_tail(
    kind: str, data: bytes, open: Callable[[bytes], Opened]
) -> tuple[Image.Image, int]:
    """The picture in a file that Pillow does not decode to its end, and its orientation.

    Raises:
        ValueError: too many rows are missing.
        Exception: something else is wrong with the file.
    """
    if kind == "BMP":
        image, orientation = open(_filled_bmp(data, open(data)[0]))
        image.load()
        return image, orientation
    if kind == "WEBP":
        missing = int.from_bytes(data[4:8], "little") + WEBP_HEAD - len(data)
        check_share(len(data), len(data) + missing)
        (one, orientation), (other, _) = (open(data + missing * filling) for filling in PADDINGS)
    else:
        (one, orientation), (other, _) = open(data), open(data)
        if math.prod(one.size) > MAX_PIXELS:
            raise ValueError("it is damaged, and has too many pixels")
        for image, ground in zip((one, other), GROUNDS, strict=True):
            _decode_over(ground, image)
    there = _rows_there(kind, one, other)
    check_share(np.count_nonzero(there), len(there))
    return _greyed(one, there), orientation


def check_jpeg(image: Image.Image, data: bytes, decode: Callable[[bytes], Image.Image]) -> None:
    """Hold what libjpeg made of a file against the rule, since it does not tell what it missed.

    Args:
        image: as decoded, perhaps at a fraction of its size.
        decode: does the same with another file.

    Raises:
        ValueError: too many rows are missing, or scans of a progressive JPEG.
    """
    if "progressive" in image.info and (file := contents(data).data).count(END_OF_IMAGE) == 1:
        _check_scans(file)  # its end was added: it has none of its own
    last, least = image.height - 1, math.ceil(ENOUGH * image.height) - 1
    if _is_lost(image, last) and _is_lost(image, least):
        scans = contents(data).data.removesuffix(END_OF_IMAGE)
        end = scans.rfind(END_OF_IMAGE)
        other = decode(scans[: end if end > 0 else None] + ENTROPY + END_OF_IMAGE)
        if not np.array_equal(np.asarray(image), np.asarray(other)):
            raise ValueError("more than the last tenth of its rows is missing")


def check_share(there: int, all: int) -> None:
    """Raise ValueError where too many of a photo's rows are missing."""
    if there < ENOUGH * all:
        raise ValueError(f"only {there / all:.0%} of the rows are there")


def _filled_bmp(data: bytes, image: ImageFile.ImageFile) -> bytes:
    (tile,) = image.tile
    if tile.codec_name != "raw":
        raise ValueError("its compressed rows are damaged")
    stride = int(tile.args[1])  # type: ignore[index]
    check_share((len(data) - tile.offset) // stride, image.height)
    return data + bytes([LOST]) * (tile.offset + stride * image.height - len(data))


def _decode_over(ground: int, image: ImageFile.ImageFile) -> None:
    """Decode as much of a picture as there is, in front of a ground."""
    prepare = image.load_prepare

    def prepared() -> None:
        prepare()
        image.im.paste(ground, (0, 0, *image.size))

    image.load_prepare = prepared  # type: ignore[method-assign]
    try:
        image.load()
    except Exception:
        image.tile = []  # so that nothing is decoded again


def _rows_there(kind: str, one: ImageFile.ImageFile, other: Image.Image) -> Rows:
    """Which rows are, by what two decoded pictures of a file have in common."""
    parts = []
    for top in range(0, one.height, AT_ONCE):
        box = (0, top, one.width, min(top + AT_ONCE, one.height))
        part = one.crop(box)
        same = np.asarray(part) == np.asarray(other.crop(box))
        same = same.reshape(*same.shape[:2], -1).all(axis=2)
        if kind == "GIF" and one.has_transparency_data:
            same &= np.asarray(part.convert("RGBA"))[..., 3] > 0
        parts.append(same.any(axis=1) if kind == "GIF" else same.all(axis=1))
    there = np.concatenate(parts)
    if kind == "GIF" or there.all():  # whose rows may come in another order
        return there
    rows = int(there.argmin())
    if kind != "WEBP":
        rows -= rows % (_rows_per_strip(one) if isinstance(one, TiffImageFile) else 1)
        rows -= rows % STRIP
    return np.arange(len(there)) < rows


def _rows_per_strip(image: TiffImageFile) -> int:
    """As libtiff reads them: an only strip that is not compressed in parts."""
    tags = image.tag_v2
    rows = tags.get(ROWS_PER_STRIP, image.height)
    if rows >= image.height and tags.get(COMPRESSION, 1) == 1:
        rows = PART * 8 // (image.width * sum(tags.get(BITS_PER_SAMPLE, (1,))))
    return max(1, int(rows))


def _greyed(image: Image.Image, there: Rows) -> Image.Image:
    """The picture with grey for the rows that are missing."""
    mixed = resizable(in_8_bits(image) if image.mode in ("I", "F", "LAB") else image)
    mixed.info = image.info
    grey = GREYS.get(mixed.mode, (LOST,) * len(mixed.getbands()))
    for row in np.flatnonzero(~there).tolist():
        mixed.paste(grey, (0, row, mixed.width, row + 1))
    return mixed


def _is_lost(image: Image.Image, top: int) -> bool:
    """Whether a JPEG has nothing from there on."""
    return bool(np.isin(np.asarray(image.crop((0, top, *image.size))), LOST_IN_JPEG).all())


def _check_scans(file: bytes) -> None:
    """Raise unless the scans of a progressive JPEG came, at least in part, down to the last bit."""
    missing: set[tuple[int, int]] = set()
    for marker, _, content in itertools.islice(segments(file), MAX_SEGMENTS):
        if marker in FRAMES:
            missing = {(name, k) for name in content[6::3] for k in COEFFICIENTS}
        elif marker == START_OF_SCAN and content and len(content) >= 4 + 2 * content[0]:
            count = content[0]
            names, (first, last, bits) = content[1 : 1 + 2 * count : 2], content[-3:]
            if bits & 15 == 0:
                missing -= {(name, k) for name in names for k in range(first, last + 1)}
    if missing:
        raise ValueError("scans are missing")
