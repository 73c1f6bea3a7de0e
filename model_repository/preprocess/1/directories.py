"""The directories of TIFF files and of EXIF: how a photo is turned, and what a TIFF begins with."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two are BigTIFF
EXIF = b"Exif\0\0"
UPRIGHT = 1

SHORT = 3
CODES = {1: "B", SHORT: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # of the types that are numbers
# Of more than that nothing is of interest; a hostile file has very many.
MAX_VALUES, MAX_ENTRIES, MAX_DIRECTORIES = 16, 500, 64

KIND, OLD_KIND, WIDTH, HEIGHT, BITS, PHOTOMETRIC = 254, 255, 256, 257, 258, 262
ORIENTATION, SAMPLES, TILE_HEIGHT, SUBDIRECTORIES, DNG_VERSION = 274, 277, 323, 330, 50706
SAMPLE_FORMAT = 339
REDUCED, OLD_REDUCED = 1, 2  # kinds of image
SENSOR = (32803, 34892)  # photometric interpretations: what a sensor saw, not yet colours
MUCH_SMALLER = 4


class Entry(NamedTuple):
    kind: int
    values: tuple[int, ...]  # empty where they are no whole numbers, or lie outside of the file


Directory = dict[int, Entry]
NOTHING = Entry(0, ())


def orientation(block: bytes) -> int:
    """The orientation 1 to 8 that a block of EXIF or a TIFF file tells; 1 if it tells none.

    As browsers read it: the tag must be one short, and no other entry matters, however malformed.
    """
    for directory in directories(block.removeprefix(EXIF)):
        kind, values = directory.get(ORIENTATION, NOTHING)
        told = kind == SHORT and len(values) == 1 and 1 <= values[0] <= 8
        return values[0] if told else UPRIGHT
    return UPRIGHT


def is_raw(found: list[Directory]) -> bool:
    """Whether this is a camera's raw file."""
    return any(
        DNG_VERSION in directory or first(directory, PHOTOMETRIC) in SENSOR for directory in found
    )


def begins_with_thumbnail(found: list[Directory]) -> bool:
    """Whether the first image says that it is a small copy, or looks like one of another here."""
    if first(found[0], KIND) & REDUCED or first(found[0], OLD_KIND) == OLD_REDUCED:
        return True
    width, height = first(found[0], WIDTH), first(found[0], HEIGHT)
    return any(
        first(other, WIDTH) >= MUCH_SMALLER * width
        and abs(first(other, WIDTH) * height - first(other, HEIGHT) * width)
        <= first(other, WIDTH) + first(other, HEIGHT)
        for other in found[1:]
    )


def directories(tiff: bytes) -> Iterator[Directory]:
    """The directories of a TIFF file or of a block of EXIF, as far as they can be read."""
    if not tiff.startswith(SIGNATURES):
        return
    layout = _Layout(tiff)
    pending, seen = [layout.first], set[int]()
    while pending and len(seen) < MAX_DIRECTORIES:
        start = pending.pop(0)
        if start in seen or start == 0:
            continue
        seen.add(start)
        directory, after = layout.directory(start)
        pending += [*directory.get(SUBDIRECTORIES, NOTHING).values, after]
        yield directory


def first(directory: Directory, tag: int, otherwise: int = 0) -> int:
    """The first value of an entry; `otherwise` if there is none."""
    return next(iter(directory.get(tag, NOTHING).values), otherwise)


class _Layout:
    """Where things are, by the order of bytes and the width of offsets."""

    def __init__(self, tiff: bytes) -> None:
        self._tiff = tiff
        self._order = "<" if tiff.startswith(b"I") else ">"
        big = 43 in tiff[2:4]
        self._offset, self._count = ("Q", "Q") if big else ("I", "H")
        self._head = struct.Struct(
            self._order + "HH" + self._offset
        )  # of an entry; a value follows
        self._size = self._head.size + struct.calcsize(self._offset)
        self.first = (self._numbers(8 if big else 4, self._offset, 1) or (0,))[0]

    def directory(self, start: int) -> tuple[Directory, int]:
        """The directory that starts there, and where the next one does."""
        found: Directory = {}
        count = (self._numbers(start, self._count, 1) or (0,))[0]
        entries = start + struct.calcsize(self._count)
        end = entries + count * self._size
        last = min(end, entries + MAX_ENTRIES * self._size, len(self._tiff) - self._size + 1)
        for position in range(entries, last, self._size):
            tag, kind, length = self._head.unpack_from(self._tiff, position)
            found.setdefault(tag, Entry(kind, self._values(position, kind, length)))
        return found, (self._numbers(end, self._offset, 1) or (0,))[0]

    def _values(self, entry: int, kind: int, length: int) -> tuple[int, ...]:
        code = CODES.get(kind)
        if code is None or length > MAX_VALUES:
            return ()
        position = entry + self._head.size
        if length * struct.calcsize(code) > struct.calcsize(self._offset):
            position = (self._numbers(position, self._offset, 1) or (0,))[0]
        return self._numbers(position, code, length)

    def _numbers(self, position: int, code: str, count: int) -> tuple[int, ...]:
        """Whole numbers from there, or none where they do not lie in the file."""
        numbers = struct.Struct(f"{self._order}{count}{code}")
        if position + numbers.size > len(self._tiff):
            return ()
        return numbers.unpack_from(self._tiff, position)
