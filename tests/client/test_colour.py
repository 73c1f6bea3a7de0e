"""What a photo's pixels mean survives every way out of gazecrop."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import gazecrop
import numpy as np
import pytest
from gazecrop._picture import Picture
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.client import profiles
from tests.client.profiles import SRGB, in_space, seen
from tests.conftest import encode

SIZE = (90, 60)


def colours(size: tuple[int, int] = SIZE) -> Image.Image:
    """Smooth ramps of hue and brightness, of which every way to write colours takes its own."""
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    ramps = np.stack([across, down, 1 - across * 0.7], axis=-1)
    return Image.fromarray((20 + 200 * ramps).astype(np.uint8))


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with further chunks after its header."""
    further = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return png[:33] + further + png[33:]


def gamma_png(mode: str) -> bytes:
    """As a Mac of old wrote PNGs, for a screen of gamma 1.8, and told in gAMA."""
    values = np.asarray(colours() if mode.startswith("RGB") else grey_colours(), float) / 255
    image = Image.fromarray((255 * values ** (2.2 / 1.8)).round().astype(np.uint8))
    if mode == "P":
        image = image.quantize(256)
    if mode == "RGBA":
        image.putalpha(255)
    return with_chunks(encode(image, "PNG"), (b"gAMA", struct.pack(">I", 55556)))


def grey_colours() -> Image.Image:
    return colours().convert("L")


def lab() -> Image.Image:
    image = ImageCms.profileToProfile(colours(), SRGB, ImageCms.createProfile("LAB"), 1, "LAB")
    assert image
    return image


def chromaticity_png() -> bytes:
    """P3 told by gAMA and cHRM alone."""
    chunks = (
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
    )
    return with_chunks(encode(in_space(colours(), profiles.P3, "RGB"), "PNG"), *chunks)


def profiled(profile: bytes, mode: str, format: str) -> bytes:
    source = colours() if mode in ("RGB", "CMYK") else grey_colours()
    if mode == "L":  # grey profiles have no way back; gamma is all that they say
        values = np.linspace(0, 1, 256)
        linear = np.where(values < 0.0405, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        image = source.point((255 * linear ** (1 / 1.8)).round().astype(int).tolist())
    else:
        image = in_space(source, profile, mode)
    return encode(image, format, icc_profile=profile, quality=97)


def wide_grey() -> Image.Image:
    return Image.fromarray(np.asarray(grey_colours()).astype("<u2") * 257)


PHOTOS: dict[str, Callable[[], bytes]] = {
    "P3": lambda: profiled(profiles.P3, "RGB", "JPEG"),
    "P3 in WebP": lambda: profiled(profiles.P3, "RGB", "WEBP"),
    "Adobe RGB in TIFF": lambda: profiled(profiles.ADOBE, "RGB", "TIFF"),
    "P3 with a palette": lambda: encode(
        in_space(colours(), profiles.P3, "RGB").quantize(256), "PNG", icc_profile=profiles.P3
    ),
    "by gAMA": lambda: gamma_png("RGB"),
    "by gAMA, with alpha": lambda: gamma_png("RGBA"),
    "by gAMA and cHRM": chromaticity_png,
    "LAB": lambda: encode(lab(), "TIFF"),
    "CMYK": lambda: encode(colours().convert("CMYK"), quality=97),
    "a profile of nothing": lambda: encode(colours(), quality=97, icc_profile=b"nothing"),
    "a printer's profile": lambda: encode(colours(), quality=97, icc_profile=profiles.cmyk()),
}
GREY_PHOTOS: dict[str, Callable[[], bytes]] = {
    "grey of gamma 1.8": lambda: profiled(profiles.grey(1.8), "L", "JPEG"),
    "grey of gamma 1.8 in PNG": lambda: profiled(profiles.grey(1.8), "L", "PNG"),
    "grey by gAMA": lambda: gamma_png("L"),
    "a grey palette by gAMA": lambda: gamma_png("P"),
    "16-bit grey": lambda: encode(wide_grey(), "PNG"),
    "16-bit grey in TIFF": lambda: encode(wide_grey(), "TIFF"),
    "floats": lambda: encode(Image.fromarray(np.asarray(grey_colours(), np.float32) / 255), "TIFF"),
    "grey with the profile of a screen": lambda: encode(
        grey_colours(), quality=97, icc_profile=ImageCms.ImageCmsProfile(SRGB).tobytes()
    ),
}


def ways(crop: gazecrop.Crop, photo: bytes, folder: Path) -> dict[str, bytes]:
    """The file of a cut by each way out."""
    cut, small, plain = crop.apply(photo), io.BytesIO(), io.BytesIO()
    cut.save(plain, "JPEG", quality=97)
    cut.save(small, "WEBP", quality=97)
    files = {"apply": plain.getvalue(), "webp": small.getvalue(), "encode": gazecrop.encode(cut)[0]}
    for suffix in ("jpg", "jfif", "png", "webp", "avif"):
        crop.save(photo, folder / f"cut.{suffix}")
        files[suffix] = (folder / f"cut.{suffix}").read_bytes()
    crop.save(photo, folder / "small.png", crop.rect[2:])
    files["resized"] = (folder / "small.png").read_bytes()
    return files


@pytest.mark.parametrize("name", [*PHOTOS, *GREY_PHOTOS])
def test_a_cut_shows_the_colours_of_its_photo(name: str, tmp_path: Path) -> None:
    photo = (PHOTOS | GREY_PHOTOS)[name]()
    right = np.asarray((colours() if name in PHOTOS else grey_colours()).convert("RGB")).astype(int)
    if name == "CMYK":
        right = np.asarray(colours().convert("CMYK").convert("RGB")).astype(int)
    crop = gazecrop.Saliency(np.ones((2, 2)), SIZE).crop("1:1")
    rect = crop.rect
    wanted = right[rect.top : rect.bottom, rect.left : rect.right]
    for way, file in ways(crop, photo, tmp_path).items():
        assert np.abs(seen(file) - wanted).mean() < 3.5, way
    padded = gazecrop.encode(crop.pad(photo))[0]
    top = crop.padding.top
    assert np.abs(seen(padded)[top : top + SIZE[1]] - right).mean() < 3.5


def test_a_cmyk_profile_says_how_inks_print() -> None:
    inks = [(c, m, y, 0) for c in (0, 1) for m in (0, 1) for y in (0, 1)]
    bars = np.repeat(np.array([inks], np.uint8) * 255, 10, axis=1).repeat(40, axis=0)
    photo = encode(Image.fromarray(bars, "CMYK"), "TIFF", icc_profile=profiles.cmyk())
    crop = gazecrop.Saliency(np.ones((2, 2)), (80, 40)).crop("2:1")
    printed = np.array([profiles.printed(*ink) for ink in inks])
    assert np.abs(np.asarray(crop.apply(photo))[20, 5::10] - printed).max() <= 4


def test_wide_gamuts_stay_wide(tmp_path: Path) -> None:
    """A red that sRGB cannot show leaves as it came."""
    photo = encode(Image.new("RGB", SIZE, (255, 0, 0)), "PNG", icc_profile=profiles.P3)
    crop = gazecrop.Saliency(np.ones((2, 2)), SIZE).crop("1:1")
    files = ways(crop, photo, tmp_path) | {"padded": encode(crop.pad(photo), "PNG")}
    for way, file in files.items():
        picture = Image.open(io.BytesIO(file))
        assert picture.info["icc_profile"] == profiles.P3, way
        pixel = picture.convert("RGB").getpixel((20, 45 if way == "padded" else 20))
        assert np.abs(np.array(pixel) - (255, 0, 0)).max() <= 4, way


@pytest.mark.parametrize(
    "mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "LAB", "I;16", "I", "F"]
)
@pytest.mark.parametrize("colour", ["white", "red", "#ff8000"])
def test_padding_has_the_colour_asked_for(mode: str, colour: str) -> None:
    photo = lab() if mode == "LAB" else Image.new(mode, SIZE)
    crop = gazecrop.Saliency(np.ones((2, 2)), SIZE).crop("1:1")
    wanted = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    for size in (None, (40, 40), (9, 9)):
        file = gazecrop.encode(crop.pad(photo, size, colour), "png")[0]
        assert np.abs(seen(file)[0, 4] - wanted).max() <= 2


def test_padding_in_a_wide_gamut_has_the_colour_asked_for() -> None:
    photo = encode(colours(), "PNG", icc_profile=profiles.P3)
    padded = gazecrop.Saliency(np.ones((2, 2)), SIZE).crop("1:1").pad(photo, colour="red")
    file = encode(padded, "PNG", icc_profile=profiles.P3)
    assert np.abs(seen(file)[0, 0] - (255, 0, 0)).max() <= 2
    assert padded.getpixel((0, 0)) != (255, 0, 0)  # that of P3 is redder


def test_padding_may_be_transparent() -> None:
    padded = gazecrop.Saliency([[1]], SIZE).crop("1:1").pad(colours(), colour="#0000")
    assert padded.getpixel((0, 0))[3] == 0
    assert padded.getpixel((45, 45))[3] == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "L", "RGB", "I;16"])
def test_what_is_transparent_stays_so(mode: str) -> None:
    """By a channel, a palette's entry, or a colour that means it."""
    photo = Image.new(mode, SIZE, 0)
    if mode in ("P", "L", "RGB", "I;16"):
        key = (0, 0, 0) if mode == "RGB" else 0
        file = encode(photo, "PNG", transparency=key)
    else:
        file = encode(photo.convert("RGBA") if mode == "PA" else photo, "PNG")
    crop = gazecrop.Saliency([[1]], SIZE).crop("1:1")
    for cut in (crop.apply(file), crop.apply(file, (20, 20))):
        data, suffix = gazecrop.encode(cut)
        assert suffix == ".png"
        assert Image.open(io.BytesIO(data)).convert("RGBA").getpixel((5, 5))[3] == 0
        assert (seen(gazecrop.encode(cut, "jpeg")[0]) >= 254).all()


def animated() -> bytes:
    file = io.BytesIO()
    colours().save(file, "WEBP", save_all=True, append_images=[colours().rotate(180)])
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "animated"])
def test_an_alpha_channel_that_hides_nothing_is_no_reason_for_png(mode: str) -> None:
    photo = animated() if mode == "animated" else encode(colours().convert(mode), "PNG")
    crop = gazecrop.Saliency(np.ones((2, 2)), SIZE).crop("1:1")
    assert gazecrop.encode(crop.apply(photo))[1] == ".jpg"


@given(st.binary(max_size=600), st.sampled_from(["RGB", "L", "CMYK", "RGBA"]))
def test_a_damaged_profile_is_no_profile(junk: bytes, mode: str) -> None:
    photo = Image.new(mode, SIZE)
    photo.info["icc_profile"] = profiles.P3[: len(junk)] + junk
    cut = gazecrop.Saliency([[1]], SIZE).crop("1:1").apply(photo)
    assert cut.mode in ("RGB", "L", "RGBA")


@given(st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8), st.integers(0, 2**32 - 1))
def test_chunks_of_nonsense_change_no_more_than_colours(told: list[int], gamma: int) -> None:
    chunks = ((b"gAMA", struct.pack(">I", gamma)), (b"cHRM", struct.pack(">8I", *told)))
    photo = with_chunks(encode(colours((6, 4)), "PNG"), *chunks)
    assert gazecrop.Saliency([[1]], (6, 4)).crop("1:1").apply(photo).size == (4, 4)


def test_an_srgb_chunk_or_a_profile_overrules_gama() -> None:
    crop = gazecrop.Saliency(np.ones((2, 2)), SIZE).crop("3:2")
    gamma = (b"gAMA", struct.pack(">I", 100000))
    plain = encode(colours(), "PNG")
    assert crop.apply(with_chunks(plain, (b"sRGB", b"\0"), gamma)).getpixel((9, 9)) == (
        colours().getpixel((9, 9))
    )
    profiled = encode(colours(), "PNG", icc_profile=profiles.P3)
    assert crop.apply(with_chunks(profiled, gamma)).getpixel((9, 9)) == colours().getpixel((9, 9))
    assert crop.apply(with_chunks(plain, gamma)).getpixel((9, 9)) > colours().getpixel((9, 9))


def test_no_cut_changes_the_image_that_it_is_cut_from() -> None:
    photo = colours()
    photo.info["comment"] = b"mine"
    cut = gazecrop.Saliency([[1]], SIZE).crop("3:2").apply(photo)
    cut.paste("black", (0, 0, 90, 60))
    assert photo.info == {"comment": b"mine"}
    assert np.array_equal(np.asarray(photo), np.asarray(colours()))


def test_a_cut_is_a_pil_image(tmp_path: Path) -> None:
    cut = gazecrop.Saliency([[1]], SIZE).crop("1:1").apply(colours())
    assert isinstance(cut, Picture)
    assert isinstance(cut, Image.Image)
    cut.save(tmp_path / "cut.gif")
    cut.save(str(tmp_path / "cut.bmp"))
    with (tmp_path / "cut.tif").open("wb") as file:
        cut.save(file)
    assert {Image.open(path).size for path in tmp_path.iterdir()} == {(60, 60)}
    assert cut.rotate(90).size == (60, 60)


def noise(pixels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (pixels, pixels, 3), dtype=np.uint8)


@pytest.mark.parametrize("quality", [1, 50, 92, 94, 100])
def test_what_hardly_compresses_is_written_too(quality: int) -> None:
    picture = Image.fromarray(noise(700))
    for format in ("jpeg", "webp"):
        data, _ = gazecrop.encode(picture, format, quality)
        assert Image.open(io.BytesIO(data)).size == (700, 700)
