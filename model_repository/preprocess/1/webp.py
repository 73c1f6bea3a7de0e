"""WebP: decoded at reduced size, so that only lossless ones take memory for all of their pixels."""

import itertools
from collections.abc import Iterator
from typing import Any

import cv2
import directories
import numpy as np
import pyvips
import shrinking
from source import Pixels, Source, Unusable

MAX_CHUNKS = 1000
MAX_WHOLE_PIXELS = 6_000_000  # decoded in full, by the faster decoder
HEAD = 8  # bytes of a chunk before its content: its kind and length
FRAME_HEAD = 16  # bytes of an animation's frame before the chunks in it
# Bytes that decoding a pixel holds: all of its colours, or its opacity and what that is filtered by
LOSSLESS, OPACITY = 4.2, 1.8
# Chunks that show, and the flags of VP8X that announce them. Decoders refuse a file for anything
# else in it, after it, or in its further frames.
SHOWN, FLAGS = (b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"), 0x32
PADDINGS = (b"\0", b"\xa5")  # for a tail that is missing: what depends on it differs

Size = tuple[int, int]

cv2.setLogLevel(0)  # it tells of every damaged upload


def read(data: bytes) -> Source:
    """Read a WebP's header.

    Raises:
        Unusable: it has none.
    """
    chunks = dict(reversed(list(itertools.islice(_chunks(data, 12, len(data)), MAX_CHUNKS))))
    size = _size(chunks)
    if size is None:
        raise Unusable("read: the WebP's header is damaged", "damaged", "WEBP")
    frame = chunks.get(b"ANMF")
    if frame is not None:
        chunks |= dict(itertools.islice(_chunks(frame, FRAME_HEAD, len(frame)), MAX_CHUNKS))
    # OpenCV is the faster, libvips the one for what is large or moves.
    small = size[0] * size[1] <= MAX_WHOLE_PIXELS and frame is None
    decode = _decode_whole if small else _decode_scaled
    pixel = LOSSLESS if b"VP8L" in chunks else OPACITY if b"ALPH" in chunks else 0
    file = _shown(data)
    return Source(
        "WEBP",
        size,
        lambda height, width: decode(file, size, chunks.get(b"ICCP"), height, width),
        directories.orientation(chunks.get(b"EXIF", b"")),
        memory=round(pixel * size[0] * size[1]),
    )


def _chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while start + HEAD <= end:
        length = int.from_bytes(data[start + 4 : start + HEAD], "little")
        yield data[start : start + 4], data[start + HEAD : start + HEAD + length]
        start += HEAD + length + length % 2


def _shown(data: bytes) -> bytes:
    """The file with the first of each chunk that shows, and nothing else."""
    kept: dict[bytes, bytes] = {}
    start, length = 12, len(b"WEBP")
    for _ in range(MAX_CHUNKS):
        if start + HEAD > len(data):
            break
        kind, size = (
            data[start : start + 4],
            int.from_bytes(data[start + 4 : start + HEAD], "little"),
        )
        end = start + HEAD + size + size % 2
        if kind in SHOWN and kind not in kept:
            # Some leave out the last byte of an odd chunk, which says nothing.
            whole = data[start:end] + bytes(size % 2 and end == len(data) + 1)
            if kind == b"VP8X" and size:
                whole = whole[:HEAD] + bytes([whole[HEAD] & FLAGS]) + whole[HEAD + 1 :]
            kept[kind] = whole
            length += end - start
        start = end
    head = b"RIFF" + (length & 0xFFFFFFFF).to_bytes(4, "little") + b"WEBP"
    return head + b"".join(kept.values())


def _size(chunks: dict[bytes, bytes]) -> tuple[int, int] | None:
    """The canvas's width and height."""
    if len(canvas := chunks.get(b"VP8X", b"")) >= 10:
        width, height = (int.from_bytes(canvas[at : at + 3], "little") + 1 for at in (4, 7))
    elif (lossy := chunks.get(b"VP8 ", b""))[3:6] == b"\x9d\1\x2a" and len(lossy) >= 10:
        width, height = (int.from_bytes(lossy[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    elif len(lossless := chunks.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        return None
    return (width, height) if width and height else None


def _decode_whole(
    data: bytes, size: Size, profile: bytes | None, height: int, width: int
) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return _decode_scaled(data, size, profile, height, width)
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return shrinking.of_array(cv2.cvtColor(pixels, order), profile, height, width)


def _decode_scaled(
    data: bytes, size: Size, profile: bytes | None, height: int, width: int
) -> Pixels:
    """Decode to about twice the size; if a tail is missing, with grey for what depends on it."""
    missing = int.from_bytes(data[4:8], "little") + HEAD - len(data)
    if missing <= 0:
        return shrinking.shrunk(_load(data, size, height, width), height, width)
    shrinking.check_rows(len(data), len(data) + missing)
    image, other = (
        _load(data + missing * padding, size, height, width).copy_memory() for padding in PADDINGS
    )
    differ = (image.numpy() != other.numpy()).reshape(image.height, -1).any(axis=1)
    rows = int(differ.argmax()) if differ.any() else image.height
    shrinking.check_rows(rows, image.height)
    return shrinking.shrunk(shrinking.with_lost_rows(image, rows), height, width)


def _load(file: bytes, size: tuple[int, int], height: int, width: int) -> Any:
    scale = min(1.0, max(2 * width / size[0], 2 * height / size[1]))
    return pyvips.Image.webpload_buffer(file, scale=scale, fail_on="error")
