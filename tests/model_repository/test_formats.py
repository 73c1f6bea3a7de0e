"""Every kind of file that browsers show, and the work that the rest may not make."""

import locale
import random
import re
import struct
import subprocess
import sys
import types
import zlib

import gazecrop
import numpy as np
import pillow_heif
import pytest
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw, ImageFile

from server.embedded import MODEL_REPOSITORY
from tests.client.test_container import MALFORMED, chunk, exif, with_chunk, with_segment
from tests.conftest import encode
from training.data import framing

CANVAS = 320
SIZE = 600, 400  # of coffee
STORED_AS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation → Image.Transpose
Pixels = NDArray[np.uint8]

pillow_heif.register_heif_opener()


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.fixture(scope="module")
def image(coffee: Pixels) -> Image.Image:
    return Image.fromarray(coffee)


@pytest.fixture(scope="module")
def framed(coffee: Pixels) -> Pixels:
    return framing.frame(coffee, CANVAS)[0]


def grey(image: Image.Image) -> Pixels:
    return framing.frame(np.asarray(image.convert("L").convert("RGB")), CANVAS)[0]


def restarting(image: Image.Image) -> bytes:
    return encode(image, quality=90, restart_marker_rows=1)


def without_second_restart(jpeg: bytes) -> bytes:
    marker = jpeg.index(b"\xff\xd1")
    return jpeg[:marker] + jpeg[marker + 2 :]


def warned(image: Image.Image) -> dict[str, bytes]:
    """JPEGs of which libjpeg only warns."""
    jpeg = encode(image, quality=90)
    scan, table = jpeg.index(b"\xff\xda"), jpeg.index(b"\xff\xdb")
    spectral = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big") - 3
    restarts = restarting(image)
    return {
        "start of scan of zeros": jpeg[:spectral] + bytes(3) + jpeg[spectral + 3 :],
        "bytes before the end": jpeg[:-2] + bytes(28) + jpeg[-2:],
        "bytes before a restart": restarts.replace(b"\xff\xd3", b"\x12\x34\xff\xd3", 1),
        "wrong restart": restarts.replace(b"\xff\xd3", b"\xff\xd5", 1),
        "no restart": without_second_restart(restarts),
        "junk between segments": jpeg[:table] + b"junk!!" + jpeg[table:],
        "JFIF 2.1": jpeg.replace(b"JFIF\0\1\1", b"JFIF\0\2\1", 1),
        "short JFIF": with_segment(jpeg, 0xE0, b"JFIF\0"),
        "Adobe of an unknown transform": with_segment(jpeg, 0xEE, b"Adobe\0\x64\0\0\0\0\x09"),
        "short Adobe": with_segment(jpeg, 0xEE, b"Adobe"),
        "a part of a profile": with_segment(jpeg, 0xE2, b"ICC_PROFILE\0\3\7no profile"),
        "no end": jpeg[:-2],
        "short by some bytes": jpeg[:-100],
    }


def test_what_libjpeg_only_warns_of_is_no_damage(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels
) -> None:
    for name, data in warned(image).items():
        photo = preprocess.load(data, CANVAS)
        assert photo.size == SIZE, name
        assert difference(photo.pixels, framed) < (12 if "restart" in name else 6), name


def resampled(image: Image.Image, luma: tuple[int, int], chroma: tuple[int, int]) -> bytes:
    """A JPEG whose components are sampled so, each in a scan of its own."""
    most = [max(pair) for pair in zip(luma, chroma, strict=True)]
    start, scans, frame = b"", b"", b""
    for index, band in enumerate(image.convert("YCbCr").split()):
        factors = chroma if index else luma
        size = [-(-side * f // m) for side, f, m in zip(SIZE, factors, most, strict=True)]
        jpeg = encode(band.resize(size, Image.Resampling.BOX), quality=90)
        start = start or jpeg[: jpeg.index(b"\xff\xc0")]
        scan = jpeg.index(b"\xff\xda")
        if not index:
            start += jpeg[jpeg.index(b"\xff\xc4") : scan]
        frame += bytes([index + 1, factors[0] << 4 | factors[1], 0])
        scans += b"\xff\xda\0\x08\1" + bytes([index + 1, 0, 0, 63, 0]) + jpeg[scan + 10 : -2]
    height_width = struct.pack(">HH", SIZE[1], SIZE[0])
    return start + b"\xff\xc0\0\x11\x08" + height_width + b"\3" + frame + scans + b"\xff\xd9"


@pytest.mark.parametrize("across", [1, 2, 3, 4])
@pytest.mark.parametrize("down", [1, 2, 3, 4])
def test_any_sampling_is_read(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels, across: int, down: int
) -> None:
    for luma, chroma in (((across, down), (1, 1)), ((1, 1), (across, down))):
        photo = preprocess.load(resampled(image, luma, chroma), CANVAS)
        assert photo.size == SIZE
        assert difference(photo.pixels, framed) < 6


FORMS = {
    "JPEG": {"quality": 90},
    "progressive": {"format": "JPEG", "progressive": True},
    "PNG": {},
    "GIF": {},
    "WEBP": {"quality": 90},
    "BMP": {},
    "TIFF": {},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_tenth_may_be_missing_and_no_half(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels, form: str
) -> None:
    options = {"format": form, **FORMS[form]}
    data = encode(image, **options)
    whole = preprocess.load(data, CANVAS).pixels
    photo = preprocess.load(data[: len(data) * 98 // 100], CANVAS)
    assert photo.size == SIZE
    seen = slice(60, None) if form == "BMP" else slice(None, 260)  # it begins at the bottom
    assert difference(photo.pixels[seen], whole[seen]) < 2
    with pytest.raises(preprocess.Unusable, match="damaged or cut off"):
        preprocess.load(data[: len(data) // 2], CANVAS)


def deflated_strips(image: Image.Image, pixels: bytes = b"", space: int = 2) -> bytes:
    """A TIFF whose directory stands before its pixels, as streams have it: 16 rows in a strip."""
    pixels = pixels or image.tobytes()
    bits = 8 * len(pixels) // (3 * image.width * image.height)
    strip = 16 * image.width * 3 * bits // 8
    strips = [zlib.compress(pixels[at : at + strip]) for at in range(0, len(pixels), strip)]
    count, entries = len(strips), 9
    arrays = 14 + 12 * entries
    start = arrays + 6 + 8 * count
    offsets = np.cumsum([start, *map(len, strips)])[:-1].tolist()
    numbers = {256: image.width, 257: image.height, 258: arrays, 259: 8, 262: space}
    numbers |= {273: arrays + 6, 277: 3, 278: 16, 279: arrays + 6 + 4 * count}
    counts = {258: 3, 273: count, 279: count}
    directory = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, counts.get(tag, 1), value)
        for tag, value in numbers.items()
    )
    lists = struct.pack(f"<3H{2 * count}I", bits, bits, bits, *offsets, *map(len, strips))
    head = b"II*\0" + struct.pack("<IH", 8, entries) + directory + bytes(4)
    return head + lists + b"".join(strips)


PARTS: dict[str, tuple[str, dict[str, object]]] = {
    "RGB": ("JPEG", {}),
    "L": ("JPEG", {"restart_marker_rows": 1}),
    "CMYK": ("JPEG", {}),
    "RGB, progressive": ("JPEG", {"progressive": True}),
    "RGB in PNG": ("PNG", {}),
    "RGBA in PNG": ("PNG", {}),
    "P in PNG": ("PNG", {}),
    "1 in PNG": ("PNG", {}),
    "P, interlaced": ("GIF", {}),
    "P": ("GIF", {"interlace": 0}),
    "RGB in WebP": ("WEBP", {}),
    "RGBA in WebP": ("WEBP", {}),
    "RGB in BMP": ("BMP", {}),
    "RGB in TIFF": ("TIFF", {}),
    "L in TIFF": ("TIFF", {"compression": "tiff_lzw"}),
    "RGB in AVIF": ("AVIF", {}),
    "RGB in HEIC": ("HEIF", {}),
    "deflated strips": ("", {}),
}


@pytest.mark.parametrize("kind", PARTS)
def test_the_client_cuts_what_the_server_accepts(
    preprocess: types.ModuleType, image: Image.Image, kind: str
) -> None:
    format, options = PARTS[kind]
    small = image.resize((240, 160))
    mode = re.split(r"\W", kind)[0]
    whole = encode(small.convert(mode), format, **options) if format else deflated_strips(small)
    crop = gazecrop.Saliency([[1]], small.size).crop("3:2")
    right = np.asarray(crop.apply(whole).convert("RGB"))
    answers = []
    for thousandth in (*range(500, 880, 94), *range(880, 1000, 9), 999, 1000):
        part = whole[: len(whole) * thousandth // 1000]
        try:
            preprocess.load(part, CANVAS)
        except preprocess.Unusable:
            answers.append(False)
            with pytest.raises(gazecrop.InvalidArgument, match="cannot decode"):
                crop.apply(part)
            continue
        answers.append(True)
        cut = np.asarray(crop.apply(part).convert("RGB"))
        seen = slice(16, None) if format == "BMP" else slice(None, 128)  # it begins at the bottom
        assert difference(cut[seen], right[seen]) < 5  # of a progressive JPEG details are missing
    assert answers == sorted(answers)  # once it is enough, more is
    assert answers[0] is False
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_what_is_missing_is_grey(preprocess: types.ModuleType, image: Image.Image) -> None:
    for data in (encode(image, "PNG"), encode(image, "JPEG"), deflated_strips(image)):
        part = data[: len(data) * 94 // 100]
        photo = preprocess.load(part, CANVAS)
        assert np.all(photo.pixels[(CANVAS + photo.extent[0]) // 2 - 2] == 128)
        cut = gazecrop.Saliency([[1]], SIZE).crop("3:2").apply(part)
        assert cut.getpixel((300, 399)) == (128, 128, 128)


def test_grey_that_is_there_is_not_missing(
    preprocess: types.ModuleType, image: Image.Image
) -> None:
    grey = image.copy()
    grey.paste((128, 128, 128), (0, 200, 600, 400))
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
        for data in (encode(grey, **options), encode(grey, **options)[:-2]):
            assert gazecrop.Saliency([[1]], SIZE).crop("1:1").apply(data).size == (400, 400)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_malformed_entries_do_not_turn_a_photo_wrong(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels, format: str, orientation: int
) -> None:
    stored = image.transpose(STORED_AS[orientation]) if orientation > 1 else image
    tag = Image.Exif()
    tag[0x0112] = orientation
    block = tag if format in ("TIFF", "AVIF") else exif(orientation, *MALFORMED)
    photo = preprocess.load(encode(stored, format, exif=block), CANVAS)
    assert photo.size == SIZE
    assert difference(photo.pixels, framed) < 6


def test_no_orientation_but_that_of_the_file(
    preprocess: types.ModuleType, image: Image.Image
) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    text = b"\nexif\n      40\n" + exif(6).hex().encode() + b"\n"
    png = encode(image, "PNG")
    for data in (
        with_segment(encode(image), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
        encode(image, "WEBP", xmp=xmp),
        with_chunk(png, chunk(b"tEXt", b"Raw profile type exif\0" + text)),
        with_chunk(png, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
        encode(image, "TIFF", tiffinfo={700: xmp}),
        encode(image, "AVIF", xmp=xmp),
    ):
        assert preprocess.load(data, CANVAS).size == SIZE


def test_ancillary_chunks_decide_nothing(preprocess: types.ModuleType) -> None:
    kinds = (
        b"pHYs acTL fcTL fdAT zTXt iTXt tEXt iCCP cHRM eXIf tIME sBIT bKGD hIST sPLT cICP".split()
    )
    small = Image.linear_gradient("L").convert("RGB").resize((48, 32))
    png, chance = encode(small, "PNG"), random.Random(0)
    shown = preprocess.load(png, CANVAS).pixels
    for number in range(150):
        kind = kinds[number % len(kinds)]
        content = chance.choice((b"", b"name\0\0", b"name\0\0" + zlib.compress(bytes(1_500_000))))
        content += chance.randbytes(chance.choice((0, 1, 4, 9, 33)))
        data = with_chunk(png, chunk(kind, content, chance.choice((None, 1))))
        assert np.array_equal(preprocess.load(data, CANVAS).pixels, shown), kind


def webps(image: Image.Image) -> dict[str, bytes]:
    """WebPs in which something beside the photo is wrong."""
    odd = encode(image, "WEBP", exif=b"odd", icc_profile=b"none", xmp=b"<")
    plain = encode(image, "WEBP")
    frames = encode(image, "WEBP", save_all=True, append_images=[image.rotate(90)])
    second = frames.rindex(b"ANMF")
    return {
        "metadata": odd,
        "flags of metadata that is not there": odd[: odd.index(b"EXIF")],
        "bytes after the end": plain + b"\0\1\2junk" * 9,
        "a wrong length": plain[:4] + b"\xff\xff\xff\x7f" + plain[8:],
        "a later frame": frames[: second + 60] + bytes(400) + frames[second + 460 :],
        "no later frame": frames[: second + 100],
    }


def test_nothing_beside_its_pixels_spoils_a_webp(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels
) -> None:
    crop = gazecrop.Saliency([[1]], SIZE).crop("3:2")
    for name, data in webps(image).items():
        photo = preprocess.load(data, CANVAS)
        assert photo.size == SIZE, name
        assert difference(photo.pixels, framed) < 6, name
        assert difference(np.asarray(crop.apply(data).convert("RGB")), np.asarray(image)) < 6, name


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_avif_and_heic_are_read(
    preprocess: types.ModuleType, image: Image.Image, format: str, mode: str
) -> None:
    small = image.resize((150, 100)).convert(mode)  # an encoder of HEIC takes its time
    photo = preprocess.load(encode(small, format, quality=90), CANVAS)
    assert photo.size == small.size
    shown = framing.frame(np.asarray(small.convert("RGB")), CANVAS)[0]
    assert difference(photo.pixels, shown) < 6


def tiff(*directories: dict[int, int]) -> bytes:
    """Directories, of the first of which the others are parts, in a file without pixels."""
    file, start = b"II*\0", 8
    blocks = []
    for entries in directories:
        size = 2 + 12 * len(entries) + 4
        blocks.append((start, entries))
        start += size
    data = file + struct.pack("<I", 8)
    for index, (position, entries) in enumerate(blocks):
        following = blocks[index + 1][0] if index + 1 < len(blocks) else 0
        data += struct.pack("<H", len(entries))
        for tag, value in sorted(entries.items()):
            data += struct.pack("<HHII", tag, 4, 1, value)
        data += struct.pack("<I", following)
        assert position < len(data)
    return data


@pytest.mark.parametrize(
    "data",
    [
        tiff({256: 240, 257: 160, 50706: 0x0104}),  # DNG
        tiff({254: 1, 256: 240, 257: 160}, {256: 960, 257: 640}),
        tiff({255: 2, 256: 240, 257: 160}),
        tiff({256: 240, 257: 160}, {256: 960, 257: 640}),
        tiff({256: 960, 257: 640, 262: 32803}),
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1",
    ],
)
def test_no_thumbnail_is_taken_for_the_photo(preprocess: types.ModuleType, data: bytes) -> None:
    with pytest.raises(preprocess.Unusable, match=r"raw file|small copy"):
        preprocess.load(data, CANVAS)


def test_light_art_on_nothing_is_seen(preprocess: types.ModuleType) -> None:
    for colour, ground in (("white", 96), ("black", 255), ((150, 90, 60), 255)):
        logo = Image.new("RGBA", (800, 600))
        ImageDraw.Draw(logo).ellipse((500, 200, 700, 400), colour)
        for format in ("PNG", "WEBP", "TIFF", "AVIF", "GIF"):
            pixels = preprocess.load(encode(logo, format), CANVAS).pixels
            assert abs(int(pixels[4, 4, 0]) - ground) <= 2, (colour, format)


def test_numbers_of_any_width_are_spread(preprocess: types.ModuleType, image: Image.Image) -> None:
    levels = np.asarray(image.convert("L"), np.float32) / 255
    for values in (levels, levels * 255, levels * 65535):
        data = encode(Image.fromarray(values), "TIFF")
        assert difference(preprocess.load(data, CANVAS).pixels, grey(image)) < 3
    whole = Image.fromarray((levels * 65535).astype(np.int32))
    assert difference(preprocess.load(encode(whole, "TIFF"), CANVAS).pixels, grey(image)) < 3


def test_colours_are_those_of_the_profile(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for broken in (profile, profile[:200], b"none"):
        for format in ("PNG", "WEBP", "TIFF", "AVIF"):
            data = encode(image, format, icc_profile=broken)
            assert difference(preprocess.load(data, CANVAS).pixels, framed) < 6, format


def test_lab_is_read_however_it_is_stored(
    preprocess: types.ModuleType, image: Image.Image, framed: Pixels
) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    signed = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert signed
    by_zero = np.asarray(signed) ^ np.array([0, 128, 128], np.uint8)
    unsigned = encode(Image.frombytes("LAB", SIZE, by_zero.tobytes()), "TIFF")
    cie, icc = (struct.pack("<HHIH", 262, 3, 1, space) for space in (8, 9))
    wide = (by_zero.astype("<u2") << 8).tobytes()
    floats = pyvips.Image.new_from_array(np.asarray(image), interpretation="srgb")
    for data in (
        encode(signed, "TIFF"),
        encode(signed, "TIFF", compression="tiff_lzw"),
        unsigned.replace(cie, icc),
        encode(signed, "TIFF", big_tiff=True),
        deflated_strips(image, wide, 9),
        *(floats.colourspace(space).tiffsave_buffer(tile=True) for space in ("lab", "labs")),
    ):
        assert difference(preprocess.load(data, CANVAS).pixels, framed) < 3


def test_a_png_is_shown_with_its_gamma(preprocess: types.ModuleType, image: Image.Image) -> None:
    linear = ((np.asarray(image) / 255) ** 2.2 * 255).round().astype(np.uint8)
    data = with_chunk(encode(linear, "PNG"), chunk(b"gAMA", struct.pack(">I", 100_000)))
    shown = framing.frame(np.asarray(image), CANVAS)[0]
    assert difference(preprocess.load(data, CANVAS).pixels, shown) < 6


# Small files of many pixels, by how they keep them: width, height, format, options; accepted?
LARGE: dict[str, tuple[int, int, str, dict[str, object], bool]] = {
    "PNG": (9200, 6900, "PNG", {}, True),
    "WebP": (9200, 6900, "WEBP", {"method": 0}, True),
    "lossless WebP": (9200, 6900, "WEBP", {"lossless": True, "method": 0, "quality": 0}, False),
    "JPEG": (12000, 9000, "JPEG", {}, True),
    "progressive JPEG": (9200, 6900, "JPEG", {"progressive": True}, False),
    "GIF": (9200, 6900, "GIF", {}, False),
    "TIFF": (9200, 6900, "TIFF", {"compression": "tiff_lzw"}, True),
}


@pytest.mark.parametrize("kind", LARGE)
def test_no_photo_takes_more_memory_than_it_may(kind: str) -> None:
    width, height, format, options, accepted = LARGE[kind]
    data = encode(Image.new("P" if format == "GIF" else "RGB", (width, height)), format, **options)
    script = (
        "import sys; sys.path.append(sys.argv[1]); import photo\n"
        "try: photo.load(sys.stdin.buffer.read(), 320); print('accepted', end=' ')\n"
        "except photo.Unusable as error: print(error, end=' ')\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", script, str(MODEL_REPOSITORY / "preprocess" / "1")]
    ran = subprocess.run(command, input=data, capture_output=True, check=True)
    said = ran.stdout.decode(locale.getpreferredencoding())
    assert said.startswith("accepted" if accepted else "read: "), said
    assert int(re.findall(r"\d+", said)[-1]) <= 256 * 1024
