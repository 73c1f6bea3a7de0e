"""PNG, without the chunks that decide nothing, so that none of them can spoil a photo."""

import itertools
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import directories
import pyvips
import shrinking
from source import Source, Unusable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000  # a hostile file has millions of empty ones
MAX_PROFILE = 4 * 2**20  # bytes; printers' profiles reach 2 MB
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
PALETTE = 3  # a colour type
COLOURS = {b"iCCP": 0, b"sRGB": 1, b"gAMA": 4}  # chunks that tell them, and their lengths
SCREEN = 2.2  # the exponent that screens expect
TRANSPARENCY = {0: 2, 2: 6}  # length of the chunk tRNS by colour type


class Chunk(NamedTuple):
    """A part of a PNG.

    Attributes:
        whole: with its length, its kind and its checksum.
        critical: without it there is no picture.
        sound: its checksum is right. That of a critical one is the decoder's to check.
    """

    kind: bytes
    content: memoryview
    whole: memoryview
    critical: bool
    sound: bool


class Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool


def read(data: bytes) -> Source:
    """Read a PNG's header, and leave out what does not belong to its pixels.

    Raises:
        Unusable: it has none.
    """
    header, kept, orientation = None, [memoryview(SIGNATURE)], None
    colours: dict[bytes, bytes] = {}
    for chunk in itertools.islice(_chunks(data), MAX_CHUNKS):
        if header is None:
            header = _header(chunk)
        if header is None:
            break
        if not chunk.sound or (chunk.kind == b"PLTE" and header.colour_type != PALETTE):
            continue
        if chunk.critical or _tells_transparency(chunk, header.colour_type):
            kept.append(chunk.whole)
        elif chunk.kind == b"eXIf" and orientation is None:
            orientation = directories.orientation(bytes(chunk.content))
        elif chunk.kind in COLOURS and chunk.kind not in colours and _is_colour(chunk):
            colours[chunk.kind] = bytes(chunk.content)
            kept.append(chunk.whole)
    if header is None:
        raise Unusable("read: the PNG's header is damaged", "damaged", "PNG")
    size = header.width, header.height
    row = header.width * SAMPLES[header.colour_type] * header.depth // 8
    inflated = row * header.height
    # Fewer than 8 bits become 8, and palettes colours.
    held = header.height if header.interlaced else shrinking.STREAMED
    memory = max(row, 4 * header.width) * held
    file, exponent = b"".join(kept), _exponent(colours)
    return Source(
        "PNG",
        size,
        lambda height, width: shrinking.whole_or_most(lambda: _load(file, exponent), height, width),
        orientation or directories.UPRIGHT,
        memory=memory,
        work=inflated,
    )


def _header(chunk: Chunk) -> Header | None:
    content = chunk.content
    if chunk.kind != b"IHDR" or len(content) != 13 or content[9] not in SAMPLES:
        return None
    width, height = int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big")
    if not width or not height:
        return None
    return Header(width, height, content[8], content[9], content[12] != 0)


def _chunks(data: bytes) -> Iterator[Chunk]:
    view, position = memoryview(data), len(SIGNATURE)
    while len(data) >= position + 12:
        kind = data[position + 4 : position + 8]
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        critical = not kind[0] & 0x20  # by the case of its first letter
        check = 0 if critical else zlib.crc32(view[position + 4 : end])
        sound = critical or check == int.from_bytes(data[end : end + 4], "big")
        whole = view[position : end + 4]
        if kind == b"IDAT" and len(data) < end + 4:  # decoders leave out what is cut off
            whole = memoryview(_chunk(kind, data[position + 8 : end]))
        yield Chunk(kind, view[position + 8 : end], whole, critical, sound)
        position = end + 4


def _chunk(kind: bytes, content: bytes) -> bytes:
    head, check = len(content).to_bytes(4, "big") + kind, zlib.crc32(kind + content)
    return head + content + check.to_bytes(4, "big")


def _tells_transparency(chunk: Chunk, colour_type: int) -> bool:
    length = len(chunk.content)
    return chunk.kind == b"tRNS" and length == TRANSPARENCY.get(colour_type, length)


def _is_colour(chunk: Chunk) -> bool:
    """Whether a chunk that tells the colours is sound."""
    if chunk.kind != b"iCCP":
        return len(chunk.content) == COLOURS[chunk.kind]
    _, _, deflated = bytes(chunk.content).partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(deflated[1:], MAX_PROFILE + 1)
    except zlib.error:
        return False
    return profile[36:40] == b"acsp" and len(profile) <= MAX_PROFILE


def _exponent(colours: dict[bytes, bytes]) -> float:
    """What to raise samples to for a screen; 1 where a better chunk tells the colours."""
    gamma = int.from_bytes(colours.get(b"gAMA", b""), "big") / 100_000
    if not gamma or b"iCCP" in colours or b"sRGB" in colours:
        return 1.0
    exponent = 1 / (gamma * SCREEN)
    return exponent if 0.1 < exponent < 10 and abs(exponent - 1) > 0.05 else 1.0


def _load(file: bytes, exponent: float) -> Any:
    image = pyvips.Image.pngload_buffer(file, access="sequential", fail_on="error")
    if exponent == 1:
        return image
    if not image.hasalpha():
        return image.gamma(exponent=1 / exponent)
    colours = image.extract_band(0, n=image.bands - 1)
    return colours.gamma(exponent=1 / exponent).bandjoin(image[image.bands - 1])
