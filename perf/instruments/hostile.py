"""Uploads that mean no good: cut off, no images, mutated, and small files that unfold to much."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from perf.instruments.mutations import mutated, seeds, with_metadata
from perf.instruments.photos import jpeg

SIDE = 8_000  # 64 megapixels: within the bounds of `photo.py`, in a few kilobytes
HUGE = 60_000
SCANS = 2_000


def cut_off(chance: random.Random) -> bytes:
    """A photo without its second half at least."""
    data = chance.choice((jpeg(0.3), *_seeds()))
    return data[: chance.randrange(1, len(data) // 2)]


def no_image(chance: random.Random) -> bytes:
    start = chance.choice(
        (
            b"%PDF-1.7\n",
            b"PK\3\4",
            b"\x7fELF",
            b"<!DOCTYPE html><title>not found</title>",
            b'<svg xmlns="http://www.w3.org/2000/svg">',
            b"\0\0\0\x20ftypisom",
            b"\0",
        )
    )
    return start + chance.randbytes(chance.choice((0, 1, 1000, 100_000)))


def damaged(chance: random.Random) -> bytes:
    """A small photo that is mutated; some can still be used."""
    data = chance.choice(_seeds())
    if chance.random() < 0.2:
        data = with_metadata(data, chance)
    return mutated(data, _seeds(), chance)


def bomb_within_bounds(chance: random.Random) -> bytes:
    """A small file of about as many pixels, or as much memory to decode, as are accepted."""
    return chance.choice((_plain("PNG"), _plain("JPEG"), _plain("JPEG", progressive=True)))


def bomb_beyond_bounds(chance: random.Random) -> bytes:
    return chance.choice((_declared_png(), _declared_gif(), _declared_bmp(), _many_scans()))


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    cut_off,
    no_image,
    damaged,
    bomb_within_bounds,
    bomb_beyond_bounds,
)


def uploads(chance: random.Random, count: int) -> list[bytes]:
    """So many hostile files, of each kind about as many."""
    return [KINDS[number % len(KINDS)](chance) for number in range(count)]


@cache
def _seeds() -> list[bytes]:
    return seeds()


@cache
def _plain(format: str, **options: object) -> bytes:
    return _encoded(Image.new("L", (SIDE, SIDE)), format, **options)


@cache
def _many_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = _encoded(Image.new("L", (SIDE // 8, SIDE // 8)), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * SCANS + data[-2:]


@cache
def _declared_png() -> bytes:
    header = struct.pack(">IIBBBBB", HUGE, HUGE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(2**20))), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@cache
def _declared_gif() -> bytes:
    data = _encoded(Image.new("P", (64, 64)), "GIF")
    return data[:6] + struct.pack("<HH", HUGE, HUGE) + data[10:]


@cache
def _declared_bmp() -> bytes:
    data = _encoded(Image.new("RGB", (64, 64)), "BMP")
    return data[:18] + struct.pack("<ii", HUGE, HUGE) + data[26:]


def _encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
