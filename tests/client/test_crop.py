import math

import gazecrop
import numpy as np
import pytest
from gazecrop._geometry import Rect, window_size
from gazecrop._window import centred, kept
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from tests.conftest import encode

sides = st.integers(1, 3000)
ratios = st.floats(1 / 20, 20)
densities = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.floats(0, 1, width=32),
).filter(lambda density: density.sum() > 0.01)


@given(densities, sides, sides, ratios)
def test_windows_lie_inside_and_have_the_ratio(
    density: np.ndarray, width: int, height: int, ratio: float
) -> None:
    crop = gazecrop.Saliency(density, (width, height)).crop(ratio)
    rect = crop.rect
    assert 0 <= rect.left < rect.right <= width
    assert 0 <= rect.top < rect.bottom <= height
    assert rect.width == width or rect.height == height
    wanted = (height * ratio, height) if rect.height == height else (width, width / ratio)
    assert abs(rect.width - max(1, min(width, wanted[0]))) <= 0.5
    assert abs(rect.height - max(1, min(height, wanted[1]))) <= 0.5
    assert 0 <= crop.kept <= 1


@given(densities, st.integers(1, 60), st.integers(1, 60), ratios, st.floats(1, 3))
def test_no_other_place_holds_more(
    density: np.ndarray, width: int, height: int, ratio: float, zoom: float
) -> None:
    """Attention counts for more towards the centre, as `centred` says."""
    saliency = gazecrop.Saliency(density, (width, height))
    weights = centred(saliency.density)
    best = saliency.crop(ratio, zoom=zoom).rect
    most = kept(weights, saliency.size, best)
    for left in range(width - best.width + 1):
        for top in range(height - best.height + 1):
            rect = Rect(left, top, best.width, best.height)
            assert kept(weights, saliency.size, rect) <= most + 1e-6


@given(densities, st.integers(30, 300), st.integers(30, 300), ratios, st.integers(2, 7))
def test_a_larger_copy_is_cropped_alike(
    density: np.ndarray, width: int, height: int, ratio: float, scale: int
) -> None:
    """Up to a pixel of the small photo, by which rounding moves a window's edges."""
    small = gazecrop.Saliency(density, (width, height)).crop(ratio)
    large = gazecrop.Saliency(density, (scale * width, scale * height)).crop(ratio)
    assert abs(large.rect.width - scale * small.rect.width) <= scale
    assert abs(large.rect.height - scale * small.rect.height) <= scale
    weights = centred(gazecrop.Saliency(density, (1, 1)).density)
    pixel = density.shape[0] / height + density.shape[1] / width  # in cells, of mass ≤ 1 each
    difference = kept(weights, large.size, large.rect) - kept(weights, small.size, small.rect)
    assert abs(difference) <= 2 * pixel


@given(densities, sides, sides, ratios)
def test_the_mirror_image_is_cropped_in_mirror_image(
    density: np.ndarray, width: int, height: int, ratio: float
) -> None:
    plain = gazecrop.Saliency(density, (width, height)).crop(ratio)
    mirrored = gazecrop.Saliency(density[:, ::-1], (width, height)).crop(ratio)
    weights = centred(gazecrop.Saliency(density, (1, 1)).density)
    back = mirrored.rect._replace(left=width - mirrored.rect.right)
    # Of equally good places either may be taken, so what they hold is compared.
    assert kept(weights, plain.size, back) == pytest.approx(
        kept(weights, plain.size, plain.rect), abs=1e-6
    )


@given(densities, sides, sides, ratios)
def test_kept_is_the_mass_inside(
    density: np.ndarray, width: int, height: int, ratio: float
) -> None:
    saliency = gazecrop.Saliency(density, (width, height))
    rect = saliency.crop(ratio).rect
    parts = [
        gazecrop.Rect(0, 0, rect.left, height),
        rect,
        gazecrop.Rect(rect.right, 0, width - rect.right, height),
        gazecrop.Rect(rect.left, 0, rect.width, rect.top),
        gazecrop.Rect(rect.left, rect.bottom, rect.width, height - rect.bottom),
    ]
    assert math.isclose(
        sum(kept(saliency.density, saliency.size, part) for part in parts), 1, rel_tol=1e-5
    )


@pytest.mark.parametrize("ratio", [16 / 9, 1.0, 0.5])
def test_flat_maps_give_the_centred_crop(ratio: float) -> None:
    rect = gazecrop.Saliency(np.ones((32, 32)), (640, 480)).crop(ratio).rect
    assert abs(rect.left - (640 - rect.right)) <= 1
    assert abs(rect.top - (480 - rect.bottom)) <= 1


def test_windows_end_between_cells() -> None:
    """All attention in one of 4 cells of 100 pixels: a window of 150 need not align with cells."""
    crop = gazecrop.Saliency([[0, 0, 1, 0]], (400, 150)).crop(1.0)
    assert crop.rect.width == 150
    assert crop.kept == pytest.approx(1)
    assert crop.rect.left == 150  # of all places that keep everything, the most central


@given(sides, sides, ratios)
def test_window_size_touches_the_photo(width: int, height: int, ratio: float) -> None:
    size = window_size((width, height), ratio)
    assert size[0] == width or size[1] == height
    assert 1 <= size[0] <= width
    assert 1 <= size[1] <= height


@pytest.mark.parametrize("ratio", ["16:9", 16 / 9, (1600, 900), "1.7777777778"])
def test_a_ratio_may_be_written_in_several_ways(ratio: gazecrop._geometry.Ratio) -> None:
    rect = gazecrop.Saliency(np.ones((2, 2)), (3200, 3000)).crop(ratio).rect
    assert (rect.width, rect.height) == (3200, 1800)


@pytest.mark.parametrize(
    "ratio", ["", "wide", "16:0", "0:9", "-1:2", "1:2:3", 0, -1.5, math.nan, math.inf, (1,), None]
)
def test_what_is_no_ratio_is_refused(ratio: object) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="an aspect ratio is like"):
        gazecrop.Saliency(np.ones((2, 2)), (10, 10)).crop(ratio)  # type: ignore[arg-type]


def test_apply_cuts_the_upright_photo() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 20:] = 200
    stored = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    stored.getexif()[0x0112] = 6
    crop = gazecrop.Saliency(np.ones((1, 3)) * [0, 0, 1], (60, 40)).crop("1:1")
    cut = crop.apply(stored)
    assert cut.size == (40, 40)
    assert np.asarray(cut).min() == 200


def test_apply_refuses_another_photo() -> None:
    crop = gazecrop.Saliency(np.ones((2, 2)), (60, 40)).crop("1:1")
    with pytest.raises(gazecrop.InvalidArgument, match="60×40 pixels, not 61×40"):
        crop.apply(Image.new("RGB", (61, 40)))


def test_apply_resizes_to_a_size_of_the_crops_ratio(coffee: np.ndarray) -> None:
    photo = encode(np.kron(coffee, np.ones((4, 4, 1), np.uint8)), quality=95)
    crop = gazecrop.Saliency(np.ones((1, 3)) * [0, 0, 1], (2400, 1600)).crop("1:1")
    small = crop.apply(photo, (100, 100))  # decoded at a fraction of its size
    exact = crop.apply(photo).resize((100, 100), Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(small, float) - np.asarray(exact, float))
    assert small.size == (100, 100)
    assert difference.mean() < 3
    assert crop.apply(photo, (2000, 2000)).size == (2000, 2000)
    with pytest.raises(gazecrop.InvalidArgument, match="aspect ratio 2, this crop has 1"):
        crop.apply(photo, (200, 100))
    with pytest.raises(gazecrop.InvalidArgument, match="a size is"):
        crop.apply(photo, (0, 0))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_pictures_of_all_kinds_are_cropped_resized_and_padded(mode: str) -> None:
    picture = Image.new(mode, (60, 40))
    crop = gazecrop.Saliency(np.ones((2, 2)), (60, 40)).crop("1:1")
    assert crop.apply(picture).size == (40, 40)
    assert crop.apply(picture, (10, 10)).size == (10, 10)
    assert crop.pad(picture, (10, 10)).size == (10, 10)


def test_the_advice_is_to_pad_where_a_crop_loses_too_much() -> None:
    saliency = gazecrop.Saliency([[1, 0, 0, 1]], (400, 100))
    crop = saliency.crop("1:1")
    assert crop.kept <= 0.5
    assert saliency.crop("1:1", min_kept=0.6).advice == "pad"
    assert saliency.crop("1:1", min_kept=0.4).advice == "crop"
    assert crop.padding == gazecrop.Padding((400, 400), 0, 150)


@given(sides, sides, st.floats(1 / 5, 5))
def test_padding_holds_the_whole_photo(width: int, height: int, ratio: float) -> None:
    padding = gazecrop.Saliency([[1]], (width, height)).crop(ratio).padding
    assert padding.size[0] == width or padding.size[1] == height
    assert padding.size[0] >= width
    assert padding.size[1] >= height
    assert abs(padding.size[0] - padding.size[1] * ratio) <= max(1, ratio)
    assert abs(padding.left - (padding.size[0] - width - padding.left)) <= 1
    assert abs(padding.top - (padding.size[1] - height - padding.top)) <= 1


def test_pad_shows_the_whole_photo_on_a_colour() -> None:
    photo = Image.new("RGB", (60, 20), "red")
    crop = gazecrop.Saliency([[1]], (60, 20)).crop("1:1")
    padded = crop.pad(photo, colour="#0000ff")
    assert padded.size == (60, 60)
    assert padded.getpixel((0, 0)) == padded.getpixel((59, 59)) == (0, 0, 255)
    assert padded.getpixel((0, 30)) == padded.getpixel((59, 30)) == (255, 0, 0)
    with pytest.raises(gazecrop.InvalidArgument, match="unknown color"):
        crop.pad(photo, colour="no colour")


def test_a_canvas_too_large_to_fill_is_refused() -> None:
    crop = gazecrop.Saliency([[1]], (65_000, 1)).crop("1:2")
    with pytest.raises(gazecrop.InvalidArgument, match="too large"):
        crop.pad(Image.new("L", (65_000, 1)))
    assert crop.pad(Image.new("L", (65_000, 1)), (100, 200)).size == (100, 200)
