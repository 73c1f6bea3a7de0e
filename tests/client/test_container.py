"""Metadata decides nothing but which way is up, and breaks nothing."""

import io
import random
import struct
import sys
import zlib

import gazecrop
import pytest
from gazecrop._container import contents, exif_orientation, kind_of
from gazecrop._photo import decoded
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tests.conftest import encode

SIZE = 48, 32
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
STORED_AS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation → Image.Transpose
ANCILLARY = (
    b"pHYs",
    b"acTL",
    b"zTXt",
    b"iTXt",
    b"tEXt",
    b"iCCP",
    b"gAMA",
    b"cHRM",
    b"eXIf",
    b"tIME",
)


@pytest.fixture(scope="module")
def upright() -> Image.Image:
    """White, with a black corner at the top left."""
    image = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(image).rectangle((0, 0, 15, 15), "black")
    return image


def is_upright(image: Image.Image) -> bool:
    grey = image.convert("L")
    corners = [(3, 3), (44, 3), (3, 28), (44, 28)]
    return image.size == SIZE and [grey.getpixel(xy) > 127 for xy in corners] == [0, 1, 1, 1]


def exif(orientation: int, *others: bytes, order: str = "<") -> bytes:
    """A block with that tag, and entries of 12 bytes besides."""
    entry = struct.pack(order + "HHIH2x", 0x0112, 3, 1, orientation)
    start = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(order + "H", 1 + len(others)) + entry + b"".join(others) + bytes(4)
    return b"Exif\0\0" + start + struct.pack(order + "I", 8) + directory


def chunk(kind: bytes, content: bytes, check: int | None = None) -> bytes:
    check = zlib.crc32(kind + content) if check is None else check
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def with_chunk(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]  # after the header


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", FORMATS)
def test_photos_are_turned_by_their_tag(
    upright: Image.Image, format: str, orientation: int
) -> None:
    stored = upright.transpose(STORED_AS[orientation]) if orientation > 1 else upright
    tag = Image.Exif()
    tag[0x0112] = orientation
    image, size = decoded(encode(stored, format, exif=tag))
    assert size == SIZE
    assert is_upright(image)


# Values that others' readers choke on: of a wrong type, too large, negative, outside of the file
MALFORMED = (
    struct.pack("<HHII", 0x0128, 7, 4, 2),
    struct.pack("<HHII", 0x0128, 4, 1, 70000),
    struct.pack("<HHIi", 0x0128, 8, 1, -1),
    struct.pack("<HHII", 0x011A, 5, 1, 4_000_000_000),
    struct.pack("<HHII", 0x011A, 12, 900_000, 0),
    struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFFF),
    struct.pack("<HHII", 0x9999, 99, 99, 99),
)


@pytest.mark.parametrize("entry", MALFORMED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_malformed_entries_do_not_matter(upright: Image.Image, format: str, entry: bytes) -> None:
    stored = upright.transpose(STORED_AS[6])
    image, size = decoded(encode(stored, format, exif=exif(6, entry)))
    assert size == SIZE
    assert is_upright(image)


@given(st.binary(max_size=80), st.sampled_from(["<", ">"]))
def test_any_block_of_exif_gives_an_orientation(tail: bytes, order: str) -> None:
    block = exif(6, order=order)
    assert exif_orientation(block + tail) == 6
    assert 1 <= exif_orientation(tail) <= 8
    assert 1 <= exif_orientation(block[: len(tail)] + tail) <= 8


def test_only_a_short_from_1_to_8_counts() -> None:
    assert [exif_orientation(exif(value)) for value in (0, 1, 8, 9, 255)] == [1, 1, 8, 1, 1]
    assert exif_orientation(exif(6).replace(b"\x12\1\3\0", b"\x12\1\4\0")) == 1


def test_no_orientation_but_that_of_exif(upright: Image.Image) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    text = b"\nexif\n      40\n" + exif(6).hex().encode() + b"\n"
    files = [
        with_segment(encode(upright), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
        encode(upright, "WEBP", xmp=xmp),
        with_chunk(
            encode(upright, "PNG"),
            chunk(b"tEXt", b"Raw profile type exif\0" + text),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        ),
        encode(upright, "TIFF", tiffinfo={700: xmp}),
    ]
    for data in files:
        image, size = decoded(data)
        assert size == SIZE
        assert is_upright(image)


def test_ancillary_chunks_decide_nothing(upright: Image.Image) -> None:
    chance = random.Random(0)
    png = encode(upright, "PNG")
    for number in range(400):
        content = chance.randbytes(chance.choice([0, 1, 3, 4, 8, 9, 33, 100]))
        kind = ANCILLARY[number % len(ANCILLARY)]
        wrong = chance.choice([None, 12345])
        image, _ = decoded(with_chunk(png, chunk(kind, content, wrong)))
        assert is_upright(image), (kind, content)


def test_metadata_of_any_length_is_skipped(upright: Image.Image) -> None:
    much = zlib.compress(bytes(3_000_000))
    for kind in (b"zTXt", b"iCCP"):
        image, _ = decoded(with_chunk(encode(upright, "PNG"), chunk(kind, b"name\0\0" + much)))
        assert is_upright(image)


def test_colour_profiles_are_kept_where_they_are_sound(upright: Image.Image) -> None:
    profile = bytes(36) + b"acsp" + bytes(2_000_000)
    png = with_chunk(encode(upright, "PNG"), chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)))
    assert decoded(png)[0].info["icc_profile"] == profile
    part = profile[:60_000]
    jpeg = with_segment(encode(upright), 0xE2, b"ICC_PROFILE\0\1\1" + part)
    assert decoded(jpeg)[0].info["icc_profile"] == part
    for bad in (b"ICC_PROFILE\0", b"ICC_PROFILE\0\1\1no profile"):
        image, _ = decoded(with_segment(encode(upright), 0xE2, bad))
        assert "icc_profile" not in image.info
        assert is_upright(image)


@pytest.mark.parametrize(
    "segment",
    [
        (0xE0, b"JFIF\0"),
        (0xEE, b"Adobe"),
        (0xED, b"Photoshop 3.0\x008BIM\xff\xff\xff"),
        (0xE2, b"MPF\0MM\0*\xff\xff\xff\xff"),
        (0xE1, b"Exif\0\0" + exif(1, struct.pack("<HHII", 0x0128, 1, 1, 2))[6:]),
    ],
)
def test_application_segments_decide_nothing(
    upright: Image.Image, segment: tuple[int, bytes]
) -> None:
    assert is_upright(decoded(with_segment(encode(upright), *segment))[0])


def test_junk_between_segments_is_skipped(upright: Image.Image) -> None:
    jpeg = encode(upright)
    table = jpeg.index(b"\xff\xdb")
    assert is_upright(decoded(jpeg[:table] + b"junk" + jpeg[table:])[0])


def test_a_jpeg_without_its_end_has_all_its_pixels(upright: Image.Image) -> None:
    assert is_upright(decoded(encode(upright)[:-2])[0])


def test_metadata_is_left_behind(upright: Image.Image) -> None:
    for format in FORMATS:
        data = encode(upright, format, exif=exif(1), xmp=b"<xmp/>", comment=b"by whom")
        assert not {"exif", "xmp", "comment"} & set(decoded(data)[0].info)


def test_hostile_numbers_of_segments_are_no_work(upright: Image.Image) -> None:
    segments = b"\xff\xe5\0\2" * 5_000_000
    assert len(contents(encode(upright)[:2] + segments).data) < 100
    assert len(contents(encode(upright, "PNG")[:33] + chunk(b"tEXt", b"") * 1_500_000).data) < 100


@pytest.mark.parametrize("format", [*FORMATS, "AVIF", "GIF", "BMP"])
def test_formats_are_told_by_their_beginning(upright: Image.Image, format: str) -> None:
    assert kind_of(encode(upright, format)) == format


def test_what_is_no_photo_is_said_to_be_none(upright: Image.Image) -> None:
    for data in (b"", b"no photo", encode(upright, "EPS"), encode(upright, "PNG")[:20]):
        with pytest.raises(gazecrop.InvalidArgument):
            decoded(data)


def test_a_heic_photo_needs_a_package(
    upright: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(gazecrop.InvalidArgument, match="pillow-heif"):
        decoded(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")


def test_a_pil_image_is_turned_by_its_exif_alone(upright: Image.Image) -> None:
    stored = upright.transpose(STORED_AS[6])
    tagged = Image.open(io.BytesIO(encode(stored, exif=exif(6, MALFORMED[0]))))
    assert is_upright(decoded(tagged)[0])
    assert "exif" not in decoded(tagged)[0].info
    xmp = b'<x tiff:Orientation="6"/>'
    assert is_upright(decoded(Image.open(io.BytesIO(encode(upright, "WEBP", xmp=xmp))))[0])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("offset", [2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_directory_beyond_every_file_says_nothing(offset: int) -> None:
    for start in (b"II+\0\x08\0\0\0", b"Exif\0\0II+\0\x08\0\0\0"):
        exif = start + offset.to_bytes(8, "little")
        assert exif_orientation(exif) == 1
        with pytest.raises(gazecrop.InvalidArgument):
            gazecrop.Saliency([[1]], (60, 40)).crop("1:1").apply(exif)
