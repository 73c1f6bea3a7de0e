"""JPEG: decoded at a fraction of its size by libjpeg-turbo, whatever it only warns of.

What libjpeg cannot find it makes grey, and goes on. Cameras and broken transfers make such files,
and browsers show them. So a file is damaged only if more than the last tenth of its rows is lost.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import directories
import numpy as np
import pyvips
import shrinking
import simplejpeg
from source import Pixels, Source, Unusable

SIGNATURE = b"\xff\xd8\xff"
MAX_SCAN_PIXELS = 640_000_000  # a JPEG of several scans costs its pixels once for each
MAX_SEGMENTS = 100_000  # a hostile file has millions of empty ones
# Markers (ITU T.81, table B.1): all that begin a segment, and some of them
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SEQUENTIAL = (0xC0, 0xC1)  # frames whose scans hold whole coefficients
PROGRESSIVE = (0xC2, 0xCA)
EXIF_SEGMENT, START_OF_SCAN, END_OF_IMAGE = 0xE1, 0xDA, 0xD9
BLOCK = 8  # samples in a row and in a column
COEFFICIENT = 2  # bytes
LOST = (127, 128)  # what libjpeg makes of lost samples, and that inverted


class Frame(NamedTuple):
    """A JPEG's frame header.

    Attributes:
        marker: which kind of coding it announces.
        components: by their names, how many samples of each a row and a column of a block hold.
    """

    marker: int
    size: tuple[int, int]
    components: dict[int, tuple[int, int]]

    @property
    def coefficients(self) -> int:
        """How many there are of the whole photo."""
        across, down = (max(factors) for factors in zip(*self.components.values(), strict=True))
        units = [
            -(-side // (BLOCK * most)) for side, most in zip(self.size, (across, down), strict=True)
        ]
        samples = sum(h * v for h, v in self.components.values())
        return units[0] * units[1] * samples * BLOCK**2


def read(data: bytes) -> Source:
    """Read a JPEG's header.

    Raises:
        Unusable: it has none.
    """
    frame, orientation = None, None
    for number, (marker, content) in enumerate(segments(data)):
        if marker in FRAMES and frame is None:
            frame = frame_of(marker, content)
        elif (
            marker == EXIF_SEGMENT and content.startswith(directories.EXIF) and orientation is None
        ):
            orientation = directories.orientation(content)
        elif marker == START_OF_SCAN and frame is not None:
            return _source(data, frame, content, orientation or directories.UPRIGHT)
        if number == MAX_SEGMENTS:
            break
    raise Unusable("read: the JPEG is cut off in its header, or has none", "damaged", "JPEG")


def _source(data: bytes, frame: Frame, first_scan: bytes, orientation: int) -> Source:
    width, height = frame.size
    # libjpeg-turbo decodes no scan after one that holds the whole photo.
    whole = frame.marker in SEQUENTIAL and first_scan[:1] == bytes([len(frame.components)])
    scans = 1 if whole else _scans(data, enough=MAX_SCAN_PIXELS // (width * height))
    if scans > 1 and scans * width * height > MAX_SCAN_PIXELS:
        message = f"read: a JPEG of {width}×{height} in {scans} scans is too much work"
        raise Unusable(message, "too many scans", "JPEG")
    return Source(
        "JPEG",
        frame.size,
        lambda height, width: _decode(data, frame, height, width),
        orientation,
        memory=0 if whole else frame.coefficients * COEFFICIENT,
    )


def frame_of(marker: int, content: bytes) -> Frame:
    """The frame header in a segment.

    Raises:
        Unusable: it is damaged.
    """
    try:
        size = int.from_bytes(content[3:5], "big"), int.from_bytes(content[1:3], "big")
        names = range(6, 6 + 3 * content[5], 3)
        components = {content[i]: (content[i + 1] >> 4, content[i + 1] & 15) for i in names}
        if min(size) and components and min(map(min, components.values())):
            return Frame(marker, size, components)
    except IndexError:
        pass
    raise Unusable("read: the JPEG's frame header is damaged", "damaged", "JPEG")


def _scans(data: bytes, enough: int) -> int:
    """How many scans of a JPEG will be decoded; exact only where that may be more than `enough`."""
    octets = np.frombuffer(data, np.uint8)  # eight times as fast as data.count(b"\xff\xda")
    scans = np.count_nonzero((octets[:-1] == 0xFF) & (octets[1:] == START_OF_SCAN))
    if scans <= enough:  # chance matches in embedded data included
        return int(scans)
    return sum(marker == START_OF_SCAN for marker, _ in segments(data))


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A JPEG's markers and what follows their segments' lengths, to the image's end."""
    position = 2
    while (found := MARKER.search(data, position)) and found[1][0] != END_OF_IMAGE:
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + max(length, 2)
        yield found[1][0], data[found.end() + 2 : position]


def _decode(data: bytes, frame: Frame, height: int, width: int) -> Pixels:
    decode = {1: _decode_sound, 3: _decode_sound, 4: _decode_inks}.get(len(frame.components))
    if decode is not None:
        try:
            return decode(data, height, width)
        except ValueError:  # warnings too; and TurboJPEG knows the common samplings alone
            pass
    return _decode_leniently(data, frame, height, width)


def _decode_sound(data: bytes, height: int, width: int) -> Pixels:
    """Decode at the smallest eighth (libjpeg-turbo's DCT scaling) that is large enough."""
    return simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width, min_factor=1)


def _decode_inks(data: bytes, height: int, width: int) -> Pixels:
    """The same of a photo in CMYK, which files hold inverted."""
    inks = simplejpeg.decode_jpeg(data, "CMYK", min_height=height, min_width=width, min_factor=1)
    np.invert(inks, out=inks)
    profile = shrinking.profile_of(pyvips.Image.jpegload_buffer(data))
    return shrinking.of_inks(inks, profile, height, width)


def _decode_leniently(data: bytes, frame: Frame, height: int, width: int) -> Pixels:
    """Decode at the smallest power of two that is large enough, and see what is lost."""
    fits = min(frame.size[0] // width, frame.size[1] // height)
    shrink = next(step for step in (8, 4, 2, 1) if step <= max(1, fits))
    try:
        image = pyvips.Image.jpegload_buffer(data, shrink=shrink, fail_on="warning").copy_memory()
    except pyvips.Error:
        image = pyvips.Image.jpegload_buffer(data, shrink=shrink, fail_on="none").copy_memory()
        samples = image.numpy().reshape(image.height, -1)
        found = np.flatnonzero(~np.isin(samples, LOST).all(axis=1))
        shrinking.check_rows(int(found[-1]) + 1 if found.size else 0, image.height)
        if frame.marker in PROGRESSIVE:
            _check_precision(data, frame)
    return shrinking.shrunk(image, height, width)


def _check_precision(data: bytes, frame: Frame) -> None:
    """Raise unless the scans of a progressive JPEG came, at least in part, down to the last bit."""
    missing = {(name, k) for name in frame.components for k in range(BLOCK**2)}
    for marker, content in segments(data):
        if marker == START_OF_SCAN and content and len(content) >= 4 + 2 * content[0]:
            names, (first, last, bits) = content[1:-3:2], content[-3:]
            if bits & 15 == 0:
                missing -= {(name, k) for name in names for k in range(first, last + 1)}
    if missing:
        raise ValueError("scans are missing")
