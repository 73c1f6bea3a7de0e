"""Finished thumbnails, from an upload in one call."""

import asyncio
import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import gazecrop
import numpy as np
import pytest
from gazecrop._thumbnail import Thumbnails
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from tests.client import profiles
from tests.client.profiles import seen
from tests.conftest import encode

SIZE = (600, 400)
LEFT = gazecrop.Saliency(np.array([[9, 1, 1]]), SIZE)
SPREAD = gazecrop.Saliency(np.array([[1, 0, 0, 0, 0, 1]]), SIZE)


def made(photo: Any, sizes: Any, saliency: gazecrop.Saliency = LEFT, **options: Any) -> Any:
    return Thumbnails(sizes, options)(photo, saliency)  # type: ignore[arg-type]


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


@pytest.fixture(scope="module")
def photo(coffee: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "Jane Doe"
    exif[ExifTags.Base.ImageDescription] = "at home"
    return encode(coffee, quality=95, exif=exif, icc_profile=profiles.P3, comment=b"at home")


def test_one_call_gives_a_file(client: gazecrop.Client, grpc: str, photo: bytes) -> None:
    thumbnail = client.thumbnail(photo, "200x150", format="webp", quality=80)
    assert (opened(thumbnail).format, opened(thumbnail).size) == ("WEBP", (200, 150))
    assert opened(client.thumbnail(io.BytesIO(photo), (60, 60))).format == "JPEG"

    async def asked() -> bytes:
        async with gazecrop.AsyncClient(grpc, timeout=20) as other:
            return await other.thumbnail(photo, "200x150", format="webp", quality=80)

    assert asyncio.run(asked()) == thumbnail


def test_several_sizes_cost_one_prediction(client: gazecrop.Client, photo: bytes) -> None:
    sizes = ["100x75", (200, 150), "60x60", "4000x3000"]
    files = client.thumbnail(photo, sizes)
    assert [opened(file).size for file in files] == [(100, 75), (200, 150), (60, 60), (533, 400)]
    whole = client.predict(photo).crop((4, 3)).apply(photo)
    assert np.abs(seen(files[3]) - seen(gazecrop.encode(whole)[0])).mean() < 3
    assert client.thumbnail(photo, []) == []


def test_a_photo_that_is_read_once(client: gazecrop.Client, photo: bytes) -> None:
    command = [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin
        assert cat.stdout
        threading.Thread(target=lambda: (cat.stdin.write(photo), cat.stdin.close())).start()
        assert opened(client.thumbnail(cat.stdout, "60x60")).size == (60, 60)


def test_what_is_not_a_photo_is_refused(client: gazecrop.Client, photo: bytes) -> None:
    with pytest.raises(gazecrop.ImageRejected):
        client.thumbnail(b"no photo", "60x60")
    with pytest.raises(gazecrop.InvalidArgument, match="cannot read"):
        client.thumbnail("missing.jpg", "60x60")


def test_it_tells_nothing_and_keeps_the_colours(photo: bytes) -> None:
    file = made(photo, "90x60")
    assert b"Jane" not in file
    assert b"home" not in file
    assert opened(file).info["icc_profile"] == profiles.P3
    assert b"Jane" in made(photo, "90x60", keep_copyright=True)


def test_the_window_is_the_predictions(photo: bytes) -> None:
    wanted = np.asarray(LEFT.crop((60, 60), zoom=2).apply(photo, (60, 60)), int)
    given = np.asarray(opened(made(photo, "60x60", zoom=2, format="png")))
    assert np.abs(given - wanted).mean() < 1


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 300), st.integers(1, 300))
def test_nothing_is_enlarged(width: int, height: int, across: int, down: int) -> None:
    saliency = gazecrop.Saliency([[1]], (across, down))
    photo = Image.new("L", (across, down))
    if not 1 / 50 < width / height < 50:
        return
    given = opened(made(photo, (width, height), saliency)).size
    window = saliency.crop((width, height)).rect
    assert given[0] <= max(window.width, 1)
    assert given[1] <= max(window.height, 1)
    assert given == (width, height) or given[0] >= window.width - 1 or given[1] >= window.height - 1
    assert abs(given[0] - given[1] * width / height) <= 1 + width / height


def test_up_to_a_least_size_it_is_enlarged() -> None:
    photo = Image.new("L", SIZE)
    assert opened(made(photo, "1200x900", min_size="800x600")).size == (800, 600)
    assert opened(made(photo, "1200x900", min_size=(100, 675))).size == (900, 675)
    assert opened(made(photo, "1200x900", min_size="2000x10")).size == (1200, 900)
    assert opened(made(photo, "100x75", min_size="90x10")).size == (100, 75)
    assert opened(made(photo, "1200x900", min_size="9x9")).size == (533, 400)


def test_where_a_crop_loses_too_much_it_is_padded(photo: bytes) -> None:
    padded = made(photo, "100x200", SPREAD, pad=True, colour="#0000ff", min_kept=0.9)
    assert opened(padded).size == (100, 200)
    assert np.abs(seen(padded)[3, 50] - (0, 0, 255)).max() < 4
    assert opened(made(photo, "900x1800", SPREAD, pad=True, min_kept=0.9)).size == (600, 1200)
    cropped = made(photo, "100x200", SPREAD, colour="#0000ff", min_kept=0.9)
    assert np.abs(seen(cropped)[3, 50] - (0, 0, 255)).max() > 4


def test_a_focus_is_in_pixels_or_in_fractions() -> None:
    pixels = np.zeros((400, 600), np.uint8)
    pixels[:, 500:] = 255
    photo = Image.fromarray(pixels)
    assert np.asarray(opened(made(photo, "40x40"))).max() < 9
    for focus in (
        {"focus": (590, 200)},
        {"focus_fraction": (0.99, 0.5)},
        {"focus_fraction": (0.9, 0, 0.1, 1)},
    ):
        assert np.asarray(opened(made(photo, "40x40", **focus))).max() > 250
    assert np.asarray(opened(made(photo, "40x40", focus=(1, 1)))).max() < 9  # one pixel, not all


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ("400", {}),
        ("400x", {}),
        ("x300", {}),
        ("0x300", {}),
        ("-4x3", {}),
        ("4.5x3", {}),
        ("99999x99999", {}),
        (400, {}),
        ((400,), {}),
        ([400, 300.5], {}),
        (None, {}),
        (["40x30", 7], {}),
        ("9000x1", {}),
        ("40x30", {"zoom": "2"}),
        ("40x30", {"method": "best"}),
        ("40x30", {"format": "bmp"}),
        ("40x30", {"quality": 0}),
        ("40x30", {"min_size": "big"}),
        ("40x30", {"colour": "nothing"}),
        ("40x30", {"focus_fraction": (30, 40)}),
        ("40x30", {"focus_fraction": (0.5,)}),
        ("40x30", {"focus_fraction": (0.5, 0.5, 0.6, 0.1)}),
        ("40x30", {"focus_fraction": (-0.1, 0.5)}),
        ("40x30", {"focus_fraction": "centre"}),
        ("40x30", {"focus_fraction": (float("nan"), 0.5)}),
        ("40x30", {"focus_fraction": (0.5, 0.5), "focus": (3, 3)}),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    sizes: object, options: dict[str, Any]
) -> None:
    with gazecrop.Client("127.0.0.1:9") as nobody, pytest.raises(gazecrop.InvalidArgument):
        nobody.thumbnail(b"photo", sizes, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("size", ["40x30", "40X30", "40×30", " 40 x 30 ", (40, 30), [40, 30]])
def test_a_size_may_be_written_in_several_ways(size: Any) -> None:
    assert opened(made(Image.new("RGB", SIZE), size)).size == (40, 30)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF"])
def test_photos_of_all_formats(format: str, coffee: np.ndarray, tmp_path: Path) -> None:
    file = encode(Image.fromarray(coffee), format)
    right = np.asarray(LEFT.crop("3:2").apply(Image.fromarray(coffee), (60, 40)), int)
    assert np.abs(seen(made(file, "60x40", format="png")) - right).mean() < 6
