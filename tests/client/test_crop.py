import math

import gazecrop
import numpy as np
import pytest
from gazecrop._crop import best_window, kept, largest_size
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

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


@given(densities, st.integers(1, 60), st.integers(1, 60), ratios)
def test_no_other_place_keeps_more(
    density: np.ndarray, width: int, height: int, ratio: float
) -> None:
    saliency = gazecrop.Saliency(density, (width, height))
    best = saliency.crop(ratio)
    for left in range(width - best.rect.width + 1):
        for top in range(height - best.rect.height + 1):
            rect = gazecrop.Rect(left, top, best.rect.width, best.rect.height)
            assert kept(saliency.density, saliency.size, rect) <= best.kept + 1e-6


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
    crop = best_window(np.array([[0, 0, 1, 0]], np.float32), (400, 150), 1.0)
    assert crop.rect.width == 150
    assert crop.kept == pytest.approx(1)
    assert crop.rect.left == 150  # of all places that keep everything, the most central


@given(sides, sides, ratios)
def test_largest_size_touches_the_photo(width: int, height: int, ratio: float) -> None:
    size = largest_size((width, height), ratio)
    assert size[0] == width or size[1] == height
    assert 1 <= size[0] <= width
    assert 1 <= size[1] <= height


@pytest.mark.parametrize("ratio", ["16:9", 16 / 9, (1600, 900), "1.7777777778"])
def test_a_ratio_may_be_written_in_several_ways(ratio: gazecrop._crop.Ratio) -> None:
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
