"""The caller wins: focus, regions to keep and to avoid, zoom, method, several candidates."""

import itertools

import gazecrop
import numpy as np
import pytest
from gazecrop._geometry import Rect, window_size
from gazecrop._window import MAX_IOU
from hypothesis import given
from hypothesis import strategies as st

SIZE = (40, 30)
boxes = st.tuples(
    st.integers(0, 30), st.integers(0, 20), st.integers(1, 10), st.integers(1, 10)
).map(lambda box: Rect(*box))
densities = st.integers(0, 1000).map(lambda seed: np.random.default_rng(seed).random((6, 8)) ** 4)
ratios = st.sampled_from([16 / 9, 1.0, 0.8, 0.5])
zooms = st.floats(1, 3)


def holds(window: Rect, box: Rect) -> bool:
    return (
        window.left <= box.left
        and window.top <= box.top
        and box.right <= window.right
        and box.bottom <= window.bottom
    )


def touches(window: Rect, box: Rect) -> bool:
    return (
        window.left < box.right
        and box.left < window.right
        and window.top < box.bottom
        and box.top < window.bottom
    )


@given(densities, ratios, zooms, st.lists(boxes, max_size=2), st.lists(boxes, max_size=2))
def test_options_are_met_wherever_they_can_be(
    density: np.ndarray, ratio: float, zoom: float, keep: list[Rect], avoid: list[Rect]
) -> None:
    width, height = window_size(SIZE, ratio, zoom)
    places = itertools.product(range(SIZE[0] - width + 1), range(SIZE[1] - height + 1))
    windows = (Rect(left, top, width, height) for left, top in places)
    possible = [
        window
        for window in windows
        if all(holds(window, box) for box in keep)
        and not any(touches(window, box) for box in avoid)
    ]
    saliency = gazecrop.Saliency(density, SIZE)
    for method in ("mass", "point", "centre"):
        try:
            crop = saliency.crop(ratio, zoom=zoom, keep=keep, avoid=avoid, method=method)
        except gazecrop.NoWindow:
            assert not possible
        else:
            assert crop.rect in possible


@given(densities, ratios, zooms, st.integers(1, 6))
def test_several_crops_differ_and_come_by_what_they_keep(
    density: np.ndarray, ratio: float, zoom: float, n: int
) -> None:
    saliency = gazecrop.Saliency(density, (400, 300))
    crops = saliency.crops(ratio, n, zoom=zoom)
    assert 1 <= len(crops) <= n
    assert [crop.kept for crop in crops] == sorted((crop.kept for crop in crops), reverse=True)
    assert saliency.crop(ratio, zoom=zoom) in crops
    for one, other in itertools.combinations((crop.rect for crop in crops), 2):
        across = min(one.right, other.right) - max(one.left, other.left)
        down = min(one.bottom, other.bottom) - max(one.top, other.top)
        common = max(0, across) * max(0, down)
        union = one.width * one.height + other.width * other.height - common
        assert common <= MAX_IOU * union + 1e-6


def test_two_groups_give_two_candidates() -> None:
    density = np.zeros((4, 12))
    density[:, 1], density[:, 10] = 3, 2
    first, second = gazecrop.Saliency(density, (1200, 400)).crops("1:1", 2)
    assert first.rect.left <= 100
    assert first.kept == pytest.approx(0.6)
    assert second.rect.right >= 1100
    assert second.kept == pytest.approx(0.4)


def test_a_focus_point_is_inside_and_the_target_of_the_point_method() -> None:
    saliency = gazecrop.Saliency([[9, 1, 1, 1]], (400, 100))
    assert saliency.crop("1:1").rect.left == 0
    rect = saliency.crop("1:1", focus=(390, 50)).rect
    assert rect.left <= 390 <= rect.right
    assert saliency.crop("1:1", focus=(300, 50), method="point").rect == (250, 0, 100, 100)
    assert saliency.crop("1:1", focus=(280, 40, 40, 20), method="point").rect == (250, 0, 100, 100)


def test_the_methods() -> None:
    saliency = gazecrop.Saliency([[5, 0, 0, 0, 3, 3, 3, 0]], (80, 40))
    assert saliency.crop("1:1", method="mass").rect.left == 30
    assert saliency.crop("1:1", method="point").rect.left == 0
    assert saliency.crop("1:1", method="centre").rect.left == 20


def test_zoom_makes_the_window_smaller() -> None:
    density = np.zeros((30, 40))
    density[4:8, 30:34] = 1
    crop = gazecrop.Saliency(density, (400, 300)).crop("1:1", zoom=3)
    assert crop.rect[2:] == (100, 100)
    assert crop.kept == pytest.approx(1)


def test_a_box_that_reaches_beyond_the_photo_counts_as_far_as_it_is_in_it() -> None:
    saliency = gazecrop.Saliency([[1, 0, 0, 0]], (400, 100))
    assert saliency.crop("1:1", keep=[(350, -20, 100, 90)]).rect.left == 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"focus": (500, 10)}, r"focus \(500, 10\) lies outside the photo of 400×100 pixels"),
        ({"focus": "face"}, "focus is"),
        ({"keep": [(0, 0, -1, 5)]}, "keep is"),
        ({"avoid": [(0, 0, 5)]}, "avoid is"),
        ({"keep": [(0, float("nan"), 5, 5)]}, "keep is"),
        ({"zoom": 0.5}, "a zoom is"),
        ({"zoom": float("nan")}, "a zoom is"),
        ({"min_kept": 2}, "min_kept is"),
        ({"method": "best"}, "a method is"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match=message):
        gazecrop.Saliency([[1, 2]], (400, 100)).crop("1:1", **options)  # type: ignore[arg-type]


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(TypeError, match="smart"):
        gazecrop.Saliency([[1]], (4, 4)).crop("1:1", smart=True)  # type: ignore[call-arg]


def test_impossible_options_say_what_cannot_be() -> None:
    saliency = gazecrop.Saliency([[1, 2]], (400, 100))
    with pytest.raises(gazecrop.NoWindow, match="100 pixels wide cannot hold"):
        saliency.crop("1:1", keep=[(0, 0, 10, 10), (300, 0, 10, 10)])
    with pytest.raises(gazecrop.NoWindow, match="avoid"):
        saliency.crop("1:1", avoid=[(0, 0, 400, 10)])


@pytest.mark.parametrize("n", [0, -1])
def test_a_number_of_crops_is_positive(n: int) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="at least 1"):
        gazecrop.Saliency([[1]], (4, 4)).crops("1:1", n)


def test_several_crops_by_another_method_are_refused() -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="by their mass"):
        gazecrop.Saliency([[1]], (4, 4)).crops("1:1", 2, method="centre")
