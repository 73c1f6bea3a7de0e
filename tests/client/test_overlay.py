"""The picture of a prediction."""

import gazecrop
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.client import profiles
from tests.client.profiles import seen
from tests.conftest import encode

sides = st.integers(1, 40) | st.integers(1, 3000)


@given(
    sides, sides, st.lists(st.floats(1 / 20, 20), max_size=3), st.sampled_from(["RGB", "1", "LA"])
)
def test_photos_of_every_size_are_drawn(
    width: int, height: int, ratios: list[float], mode: str
) -> None:
    if width * height > 100_000:
        return
    saliency = gazecrop.Saliency([[1, 2], [3, 4]], (width, height))
    crops = {f"{ratio:.2f}": saliency.crop(ratio) for ratio in ratios}
    picture = gazecrop.overlay(Image.new(mode, (width, height)), saliency, crops)
    assert picture.mode == "RGB"
    assert max(picture.size) == min(1280, max(width, height))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_the_colours_are_the_photos_and_the_drawings_those_of_srgb(format: str) -> None:
    plain = Image.new("RGB", (90, 60), (200, 60, 40))
    wide = encode(profiles.in_space(plain, profiles.P3, "RGB"), "PNG", icc_profile=profiles.P3)
    saliency = gazecrop.Saliency(np.eye(6), (90, 60))
    crops = {"1:1": saliency.crop("1:1")}
    right = seen(encode(gazecrop.overlay(plain, saliency, crops), "PNG"))
    overlay = gazecrop.overlay(wide, saliency, crops)
    overlay_file = gazecrop.encode(overlay, format, 97)[0]
    assert overlay.info["icc_profile"] == profiles.P3
    assert np.abs(seen(overlay_file) - right).mean() < (6 if format == "JPEG" else 3)


def test_what_is_transparent_stands_on_white() -> None:
    saliency = gazecrop.Saliency(np.eye(6), (90, 60))
    picture = gazecrop.overlay(Image.new("RGBA", (90, 60)), saliency, {})
    assert picture.getpixel((80, 2)) == (255, 255, 255)
