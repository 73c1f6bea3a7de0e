"""Uploaded files → upright RGB pixels in the network's one input shape.

Uploads are hostile. Every bound here is checked on the file's header, before any pixel is
decoded; whatever is wrong raises `Unusable`, which names the step and the reason.
"""

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 64_000_000  # of the photo as declared: phone panoramas reach 63 megapixels
MAX_SCAN_PIXELS = 10 * MAX_PIXELS  # a JPEG of several scans costs its pixels once for each
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

NEUTRAL = 128  # the network's zero: pixels enter it as x / 127.5 − 1
MAX_SQUASH = 4 / 3  # how far a photo may be stretched; training/data/framing.py says why
CELL = 16  # the sides of the framed photo are multiples of the network's coarsest stride

ORIENTATION = 0x0112  # EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # exchange width and height

# JPEG markers (ITU T.81, table B.1): all that begin a segment, and some of them
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
SEQUENTIAL = (0xC0, 0xC1)  # frames whose scans hold whole coefficients
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9

Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS takes its place, with a message of its own
Pixels = NDArray[np.uint8]


class Unusable(Exception):
    """The upload is no photo that can be predicted; the message names the step and the reason.

    Attributes:
        reason: in few words, the same for all such uploads.
        format: of the upload, as far as it is known.
    """

    def __init__(self, message: str, reason: str, format: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.format = format or "unknown"


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


def load(data: bytes, canvas: int) -> Photo:
    """Decode an upload onto the canvas.

    Raises:
        Unusable: with the step and the reason.
    """
    image = _open(data)
    try:
        upright, turn = _orientation(image)
        extent = extent_on_canvas(*upright, canvas)
        stored = extent[::-1] if turn in SIDEWAYS else extent
        if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            pixels = _decode_jpeg(data, *stored)
        else:
            pixels = _decode(image, *stored)
    except Exception as error:  # the decoders raise many kinds on damaged data
        message = f"decode: the {image.format} is damaged or cut off: {error}"
        raise Unusable(message, "damaged", image.format) from error
    if turn in TURNS:
        pixels = np.asarray(Image.fromarray(pixels).transpose(TURNS[turn]))
    return Photo(_centred(pixels, canvas), extent, upright, str(image.format))


def extent_on_canvas(width: int, height: int, canvas: int) -> tuple[int, int]:
    """Height and width in pixels that a photo of this size takes on the canvas."""
    longest = max(width, height)

    def fit(side: int) -> int:
        return max(CELL, round(canvas * min(1, MAX_SQUASH * side / longest) / CELL) * CELL)

    return fit(height), fit(width)


def _open(data: bytes) -> Image.Image:
    """Read the header and hold it against every bound."""
    if not data:
        raise Unusable("read: the file is empty", "empty")
    if len(data) > MAX_BYTES:
        message = f"read: {len(data):,} bytes; at most {MAX_BYTES:,} are accepted"
        raise Unusable(message, "too many bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # the readers raise many kinds on hostile headers
        message = f"read: not an image in {', '.join(FORMATS)}"
        raise Unusable(message, "unknown format") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unusable(
            f"read: {width}×{height} is {width * height:,} pixels; "
            f"at most {MAX_PIXELS:,} are accepted",
            "too many pixels",
            image.format,
        )
    if image.format in ("JPEG", "MPO"):
        scans = _scans(data, enough=MAX_SCAN_PIXELS // (width * height))
        if scans * width * height > MAX_SCAN_PIXELS:
            message = f"read: a JPEG of {width}×{height} in {scans} scans is too much work"
            raise Unusable(message, "too many scans", image.format)
    return image


def _scans(data: bytes, enough: int) -> int:
    """How many scans of a JPEG will be decoded; exact only where that may be more than `enough`."""
    segments = _segments(data)
    components = b""
    for marker, content in segments:
        if marker in SEQUENTIAL:
            components = content[5:6]
        elif marker == START_OF_SCAN:
            if components and content[:1] == components:
                return 1  # it holds the whole photo, and libjpeg-turbo refuses more
            break
    octets = np.frombuffer(data, np.uint8)  # eight times as fast as data.count(b"\xff\xda")
    scans = np.count_nonzero((octets[:-1] == 0xFF) & (octets[1:] == START_OF_SCAN))
    if scans <= enough:  # chance matches in embedded data included
        return int(scans)
    return 1 + sum(marker == START_OF_SCAN for marker, _ in segments)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A JPEG's markers and what follows their segments' lengths, to the image's end."""
    position = 2
    while (found := MARKER.search(data, position)) and found[1][0] != END_OF_IMAGE:
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + length
        yield found[1][0], data[found.end() + 2 : position]


def _orientation(image: Image.Image) -> tuple[tuple[int, int], int]:
    """The size (width, height) of the upright photo, and the EXIF orientation to undo."""
    if image.format == "TIFF":  # its reader turns the picture, and says so in its size
        return image.size, 1
    turn = image.getexif().get(ORIENTATION, 1)
    return (image.size[::-1] if turn in SIDEWAYS else image.size), turn


def _decode_jpeg(data: bytes, height: int, width: int) -> Pixels:
    """Decode at the smallest eighth (libjpeg-turbo's DCT scaling) that is large enough."""
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width, min_factor=1)
    if pixels.shape[0] > 2 * height or pixels.shape[1] > 2 * width:
        # Bilinear interpolation would skip pixels. Where it skips none it does for the network,
        # in a seventh of the time.
        smaller = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return _resize(pixels, height, width)


def _decode(image: Image.Image, height: int, width: int) -> Pixels:
    """Decode what libjpeg-turbo cannot turn into RGB; transparent parts become white."""
    image.draft(None, (width, height))  # DCT scaling for CMYK JPEGs, nothing for the others
    image = _in_8_bits(image)
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    smaller = (min(width, image.width), min(height, image.height))
    image = image.resize(smaller, Image.Resampling.BOX, reducing_gap=2)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return _resize(np.asarray(image), height, width)


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Grey photos of 16 bits lose the lower 8; other wide values are spread over 0–255."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, np.float32))
        return Image.fromarray(cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U))
    return image


def _resize(pixels: Pixels, height: int, width: int) -> Pixels:
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)


def _centred(pixels: Pixels, canvas: int) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = (canvas - height) // 2, (canvas - width) // 2
    framed = np.full((canvas, canvas, 3), NEUTRAL, np.uint8)
    framed[top : top + height, left : left + width] = pixels
    return framed
