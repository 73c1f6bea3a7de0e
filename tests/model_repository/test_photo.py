import struct
import time
import types
import zlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from export.parity import MODEL, canvas_of
from tests.conftest import encode
from training.data import framing

CANVAS = canvas_of(onnx.load(MODEL))
Pixels = NDArray[np.uint8]


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("shape", [(512, 512), (512, 200), (170, 512), (40, 30), (1, 1), (3, 900)])
def test_frames_photos_as_training_does(
    preprocess: types.ModuleType, astronaut: Pixels, shape: tuple[int, int]
) -> None:
    photo = np.asarray(Image.fromarray(astronaut).resize(shape[::-1]))
    expected, extent = framing.frame(photo, CANVAS)
    pixels, own_extent, size, format = preprocess.load(encode(photo, "PNG"), CANVAS)
    assert format == "PNG"
    assert own_extent == tuple(extent)
    assert size == (shape[1], shape[0])
    assert pixels.shape == (CANVAS, CANVAS, 3)
    assert difference(pixels, expected) < 2  # a little smaller is interpolated, not averaged


@given(st.integers(1, 30_000), st.integers(1, 30_000))
def test_extent_is_that_of_training(preprocess: types.ModuleType, width: int, height: int) -> None:
    own = preprocess.extent_on_canvas(width, height, CANVAS)
    assert own == framing.extent_on_canvas(width, height, CANVAS)
    assert all(side % 16 == 0 and 16 <= side <= CANVAS for side in own)


def test_jpeg_decoded_at_reduced_scale_stays_faithful(
    preprocess: types.ModuleType, coffee: Pixels
) -> None:
    large = np.asarray(Image.fromarray(coffee).resize((4000, 2600), Image.Resampling.BICUBIC))
    expected = framing.frame(large, CANVAS)[0]
    assert difference(preprocess.load(encode(large, quality=95), CANVAS)[0], expected) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(
    preprocess: types.ModuleType, coffee: Pixels, orientation: int, format: str
) -> None:
    upright = Image.fromarray(coffee)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that stores it so
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, format, exif=exif)
    pixels, _, size, _ = preprocess.load(data, CANVAS)
    assert size == upright.size
    assert difference(pixels, framing.frame(coffee, CANVAS)[0]) < 5


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0no TIFF header",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03",
    ],
)
def test_broken_exif_leaves_the_photo_as_stored(
    preprocess: types.ModuleType, coffee: Pixels, exif: bytes
) -> None:
    assert preprocess.load(encode(coffee, exif=exif), CANVAS)[2] == (600, 400)


def test_alpha_is_flattened_on_white(preprocess: types.ModuleType, coffee: Pixels) -> None:
    alpha = np.full((*coffee.shape[:2], 1), 255, np.uint8)
    alpha[:, :300] = 0
    expected = framing.frame(np.where(alpha > 0, coffee, np.uint8(255)), CANVAS)[0]
    for format in ("PNG", "WEBP", "TIFF"):
        data = encode(np.concatenate([coffee, alpha], axis=2), format)
        assert difference(preprocess.load(data, CANVAS)[0], expected) < 5


def modes(photo: Pixels) -> dict[str, tuple[bytes, Pixels]]:
    """Encoded photos of unusual modes, each with what it shows."""
    image = Image.fromarray(photo)
    grey = np.asarray(image.convert("L"))
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    shown = np.stack([grey] * 3, axis=2)
    return {
        "CMYK JPEG": (encode(image.convert("CMYK"), quality=95), photo),
        "grey JPEG": (encode(image.convert("L"), quality=95), shown),
        "palette PNG": (encode(image.quantize(256), "PNG"), photo),
        "16-bit PNG": (encode(wide, "PNG"), shown),
        "16-bit TIFF": (encode(wide, "TIFF"), shown),
        "grey and alpha PNG": (encode(image.convert("LA"), "PNG"), shown),
        "BMP": (encode(image, "BMP"), photo),
        "progressive JPEG": (encode(image, quality=95, progressive=True), photo),
    }


def test_other_modes_are_converted(preprocess: types.ModuleType, coffee: Pixels) -> None:
    for name, (data, shown) in modes(coffee).items():
        pixels = preprocess.load(data, CANVAS)[0]
        assert difference(pixels, framing.frame(shown, CANVAS)[0]) < 6, name


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(preprocess: types.ModuleType, format: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    pixels = preprocess.load(data, CANVAS)[0]
    assert difference(pixels, np.broadcast_to(np.uint8([255, 0, 0]), pixels.shape)) < 5


def declared_png(width: int, height: int) -> bytes:
    """A small PNG that claims to be large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def scan_bomb(progressive: bool = True, scans: int = 1000) -> bytes:
    """A small JPEG of 36 megapixels whose last scan is repeated."""
    data = encode(Image.new("RGB", (6000, 6000)), progressive=progressive)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def unusable(coffee: Pixels) -> dict[str, tuple[bytes, str]]:
    """Uploads that are no use, each with the beginning of what must be said of it."""
    jpeg = encode(coffee, quality=90)
    corrupt = bytearray(jpeg)
    corrupt[len(jpeg) // 2 : len(jpeg) // 2 + 200] = b"\xff\xc4" * 100
    return {
        "empty": (b"", "read: the file is empty"),
        "text": (b"not a photo at all\n" * 9, "read: not an image in JPEG, PNG"),
        "truncated JPEG": (jpeg[: len(jpeg) // 2], "decode: the JPEG is damaged or cut off"),
        "corrupt JPEG": (bytes(corrupt), "decode: the JPEG is damaged or cut off"),
        "header only": (jpeg[:200], "read: the JPEG is cut off in its header"),
        "truncated PNG": (encode(coffee, "PNG")[:9000], "decode: the PNG is damaged or cut off"),
        "gigapixel PNG": (declared_png(40_000, 40_000), "read: 40000×40000 is 1,600,000,000 pixel"),
        "scan bomb": (scan_bomb(), "read: a JPEG of 6000×6000 in 10"),
        "21 MB": (jpeg + bytes(21_000_000), "read: 21,"),
        "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "read: not an image"),
    }


def test_unusable_uploads_say_the_step_and_the_reason(
    preprocess: types.ModuleType, coffee: Pixels
) -> None:
    for name, (data, reason) in unusable(coffee).items():
        with pytest.raises(preprocess.Unusable) as raised:
            preprocess.load(data, CANVAS)
        assert str(raised.value).startswith(reason), name


def test_scans_after_one_that_holds_the_whole_photo_are_not_decoded(
    preprocess: types.ModuleType,
) -> None:
    started = time.process_time()  # others may have the processor meanwhile
    assert preprocess.load(scan_bomb(progressive=False, scans=30), CANVAS).size == (6000, 6000)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("cut", range(2, 24))
def test_headers_cut_anywhere_are_unusable(
    preprocess: types.ModuleType, coffee: Pixels, cut: int
) -> None:
    data = encode(coffee)
    frame = data.index(b"\xff\xc0")
    with pytest.raises(preprocess.Unusable):
        preprocess.load(data[: frame + cut], CANVAS)
    with pytest.raises(preprocess.Unusable):
        preprocess.load(data[: data.index(b"\xff\xda") + cut - 1], CANVAS)


def test_data_after_the_image_is_no_scan(preprocess: types.ModuleType, coffee: Pixels) -> None:
    """Phones append films and depth maps, in which a scan's marker occurs by chance."""
    data = encode(coffee) + b"\xff\xda" * 10_000
    assert preprocess.load(data, CANVAS)[2] == (600, 400)
