"""What a photo's file says besides its pixels: little of it counts, and none of it may break them.

Of the metadata two things decide how a photo looks: the EXIF or TIFF tag of its orientation, and
its colour profile. The rest is left out before anybody reads the file, since photos with damaged,
huge or contradictory metadata are common, and browsers show them.
"""

import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

ORIENTATION = 0x0112  # tag of EXIF and TIFF
SHORT = 3  # the type that both demand of it
UPRIGHT = 1
EXIF = b"Exif\0\0"
MAX_PROFILE = 4 * 2**20  # bytes; printers' profiles reach 2 MB
MAX_SEGMENTS = 100_000  # of a JPEG, or chunks of a PNG; hostile files have millions

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two are BigTIFF
# JPEG markers (ITU T.81, table B.1): all that begin a segment, and some of them
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
JFIF_SEGMENT = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"  # says YCbCr; nothing else in it counts
APP0, APP1, APP2, APP14, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
ICC_PROFILE = b"ICC_PROFILE\0"
# Lengths of PNG's ancillary chunks that decide how the pixels look; that of tRNS by colour type
COLOUR_CHUNKS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}
TRANSPARENCY = {0: 2, 2: 6}
PART_HEAD = 8  # bytes of a WebP's chunk before its content
WEBP_PIXELS = (b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")  # its chunks that show
WEBP_FLAGS = 0x12  # of VP8X: that there is opacity, and that it moves
PALETTE_TYPE = 3

# Formats, as Pillow calls them, by how their files begin; HEIF lists brands of what is inside.
KINDS = {
    "JPEG": re.compile(JPEG),
    "PNG": re.compile(PNG),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "AVIF": re.compile(rb"....ftyp(?:....){0,16}?avi[fs]", re.DOTALL),
    "HEIF": re.compile(rb"....ftyp(?:....){0,16}?he(?:ic|ix|im|is|vc|vx|vm|vs)", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM"),
    "TIFF": re.compile(b"|".join(re.escape(start) for start in TIFF)),
}


class Contents(NamedTuple):
    """A photo's file as a decoder should read it.

    Attributes:
        data: the file; of a JPEG, PNG or WebP without its metadata.
        orientation: as EXIF numbers it, 1 to 8; 1 is upright.
        icc_profile: of a JPEG, PNG or WebP, None if it has none that is whole.
    """

    data: bytes
    orientation: int = UPRIGHT
    icc_profile: bytes | None = None


def kind_of(data: bytes) -> str | None:
    """The format of a photo's file, as Pillow calls it; None if it is none of those accepted."""
    return next((kind for kind, start in KINDS.items() if start.match(data)), None)


def contents(data: bytes) -> Contents:
    """Part the file of a photo into what its looks depend on; other formats stay as they are."""
    if data.startswith(JPEG):
        return _jpeg(data)
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(TIFF):
        return _tiff(data)
    if KINDS["WEBP"].match(data):
        return _webp(data)
    return Contents(data)


def exif_orientation(exif: bytes) -> int:
    """The orientation 1 to 8 that a block of EXIF tells, whatever else is wrong with it; else 1.

    Args:
        exif: the block, with or without `Exif\\0\\0` before it.
    """
    tiff = exif.removeprefix(EXIF)
    entry = _orientation_entry(tiff)
    return UPRIGHT if entry is None else entry.value


class _Entry(NamedTuple):
    value: int
    start: int  # where in the file it stands
    upright: bytes  # what to put there instead, to say upright


def _orientation_entry(tiff: bytes) -> _Entry | None:
    """The first entry of that tag in the first directory. No other matters, however malformed.

    As browsers read it: unless it is one short of 1 to 8 it says nothing.
    """
    if not tiff.startswith(TIFF):
        return None
    order = "<" if tiff.startswith(b"II") else ">"
    big = 43 in tiff[2:4]
    offset, number = ("8xQ", "Q") if big else ("4xI", "H")
    entry = struct.Struct(order + ("HHQH6x" if big else "HHIH2x"))
    try:
        (start,) = struct.unpack_from(order + offset, tiff)
        (count,) = struct.unpack_from(order + number, tiff, start)
        start += struct.calcsize(order + number)
        for position in range(start, min(start + count * entry.size, len(tiff)), entry.size):
            tag, kind, values, value = entry.unpack_from(tiff, position)
            if tag == ORIENTATION:
                known = kind == SHORT and values == 1 and 1 <= value <= 8
                upright = entry.pack(ORIENTATION, SHORT, 1, UPRIGHT)
                return _Entry(value if known else UPRIGHT, position, upright)
    except (struct.error, OverflowError):  # the directory lies outside or is cut off
        pass
    return None


def _tiff(data: bytes) -> Contents:
    entry = _orientation_entry(data)
    if entry is None:
        return Contents(data)
    end = entry.start + len(entry.upright)
    return Contents(data[: entry.start] + entry.upright + data[end:], entry.value)


def _jpeg(data: bytes) -> Contents:
    kept, orientation = [JPEG[:2]], None
    profile: dict[int, bytes] = {}
    for marker, segment, content in itertools.islice(segments(data), MAX_SEGMENTS):
        if marker == START_OF_SCAN:
            kept += [data[segment.start :], END_OF_IMAGE]  # where a tail misses, decoders go on
            break
        if marker == APP0 and content.startswith(b"JFIF\0") and len(content) >= 14:
            kept.append(JFIF_SEGMENT)
        elif marker == APP1 and content.startswith(EXIF) and orientation is None:
            orientation = exif_orientation(content)
        elif marker == APP2 and content.startswith(ICC_PROFILE) and len(content) > 14:
            profile.setdefault(content[12], content[14:])
        elif (marker == APP14 and content.startswith(b"Adobe") and len(content) >= 12) or not (
            APP0 <= marker <= APP15 or marker == COMMENT
        ):
            kept.append(data[segment.start : segment.stop])
    whole = b"".join(profile[number] for number in sorted(profile))
    return Contents(b"".join(kept), orientation or UPRIGHT, _sound(whole))


def segments(data: bytes) -> Iterator[tuple[int, slice, bytes]]:
    """A JPEG's markers, where their segments lie, and what these hold after their lengths."""
    position = 2
    while found := MARKER.search(data, position):
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + max(length, 2)
        yield found[1][0], slice(found.start(), position), data[found.end() + 2 : position]


def _png(data: bytes) -> Contents:
    kept, orientation, profile, colour_type = [PNG], None, None, -1
    for kind, start, content, sound in itertools.islice(_chunks(data), MAX_SEGMENTS):
        if kind == b"IHDR":
            colour_type = content[9] if len(content) == 13 else -1
        whole = data[start : start + len(content) + 12]
        if kind == b"PLTE":
            kept += [whole] if colour_type == PALETTE_TYPE else []
        elif not kind[0] & 0x20:  # critical, by the case of its first letter
            kept.append(whole)
        elif not sound:
            continue
        elif kind == b"eXIf" and orientation is None:
            orientation = exif_orientation(content)
        elif kind == b"iCCP" and profile is None:
            profile = _inflated(content.partition(b"\0")[2][1:])
        elif len(content) == COLOUR_CHUNKS.get(kind) or (
            kind == b"tRNS" and len(content) == TRANSPARENCY.get(colour_type, len(content))
        ):
            kept.append(whole)
    return Contents(b"".join(kept), orientation or UPRIGHT, profile)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, bytes, bool]]:
    """A PNG's chunks: kind, where they start, content, and whether their checksum is right."""
    position = len(PNG)
    while len(data) >= position + 12:
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 8 + length
        content = data[position + 8 : end]
        ancillary = bool(kind[0] & 0x20)
        check = zlib.crc32(data[position + 4 : end]) if ancillary else 0
        yield kind, position, content, check == int.from_bytes(data[end : end + 4], "big")
        position = end + 4


def _webp(data: bytes) -> Contents:
    """With its first frame alone, since decoders refuse a file for anything else in it."""
    chunks: dict[bytes, bytes] = {}
    kept, length = [], len(b"WEBP")
    for kind, whole, size in itertools.islice(_parts(data), MAX_SEGMENTS):
        if kind not in chunks:
            chunks[kind] = whole[PART_HEAD:]
            if kind in WEBP_PIXELS:
                kept.append(whole)
                length += size
    if kept and kept[0].startswith(b"VP8X"):
        flags = kept[0][PART_HEAD : PART_HEAD + 1]
        kept[0] = (
            kept[0][:PART_HEAD]
            + bytes(flag & WEBP_FLAGS for flag in flags)
            + kept[0][PART_HEAD + 1 :]
        )
    file = b"RIFF" + struct.pack("<I", length & 0xFFFFFFFF) + b"WEBP" + b"".join(kept)
    return Contents(
        file, exif_orientation(chunks.get(b"EXIF", b"")), _sound(chunks.get(b"ICCP", b""))
    )


def _parts(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """A WebP's chunks: kind, the whole as far as it is there, and how long that should be."""
    position = 12
    while len(data) >= position + PART_HEAD:
        length = int.from_bytes(data[position + 4 : position + PART_HEAD], "little")
        size = PART_HEAD + length + length % 2
        whole = data[position : position + size]
        if len(whole) == PART_HEAD + length:  # some leave out the last byte, which says nothing
            whole += bytes(length % 2)
        yield data[position : position + 4], whole, size
        position += size


def _inflated(data: bytes) -> bytes | None:
    try:
        return _sound(zlib.decompressobj().decompress(data, MAX_PROFILE + 1))
    except zlib.error:
        return None


def _sound(profile: bytes) -> bytes | None:
    """The colour profile, if it has the signature of one and no excessive length."""
    return profile if profile[36:40] == b"acsp" and len(profile) <= MAX_PROFILE else None
