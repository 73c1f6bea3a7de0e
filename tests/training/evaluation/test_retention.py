import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.evaluation.retention import (
    RATIOS,
    Window,
    best_window,
    centre_window,
    gap_closed,
    heaviest_window,
    kept,
    largest_size,
    mass_window,
    point_window,
    retention,
)

sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))
ratios = st.one_of(st.sampled_from(list(RATIOS.values())), st.floats(0.1, 10))
densities = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(0.125, 1, width=32))
)
seeds = st.integers(0, 1000)


def fixations_in(size: tuple[int, int], seed: int, count: int = 12) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((count, 2)) * size * 0.999).astype(np.float32)


@given(densities, sizes, ratios, seeds)
def test_windows_are_the_largest_of_their_ratio_and_lie_in_the_photo(
    density: np.ndarray, size: tuple[int, int], ratio: float, seed: int
) -> None:
    for window in (
        mass_window(density, size, ratio),
        point_window(density, size, ratio),
        centre_window(size, ratio),
        best_window(fixations_in(size, seed), size, ratio),
    ):
        assert (window.width, window.height) == largest_size(size, ratio)
        assert 0 <= window.left <= size[0] - window.width
        assert 0 <= window.top <= size[1] - window.height


@given(densities, sizes, ratios, seeds)
def test_no_window_keeps_more_than_the_best(
    density: np.ndarray, size: tuple[int, int], ratio: float, seed: int
) -> None:
    fixations = fixations_in(size, seed)
    width, height = largest_size(size, ratio)
    everywhere = [
        kept(fixations, size, Window(left, top, width, height))
        for left in range(size[0] - width + 1)
        for top in range(size[1] - height + 1)
    ]
    result = retention(density, size, fixations, ratio)
    assert result.best == max(everywhere)
    assert 0 <= result.kept <= result.best
    assert result.centred == kept(fixations, size, centre_window(size, ratio))


@given(sizes, ratios)
def test_a_map_that_says_nothing_is_cropped_in_the_centre(
    size: tuple[int, int], ratio: float
) -> None:
    assert mass_window(np.ones((4, 4), np.float32), size, ratio) == centre_window(size, ratio)


def test_the_point_window_is_centred_on_the_densest_cell_and_moved_into_the_photo() -> None:
    density = np.zeros((4, 8), np.float32)
    density[1, 4] = 1
    assert point_window(density, (160, 80), 1.0) == Window(50, 0, 80, 80)
    density[1, 0] = 2
    assert point_window(density, (160, 80), 1.0) == Window(0, 0, 80, 80)


def test_mass_and_point_differ_where_one_peak_faces_many_glances() -> None:
    density = np.array([[5, 0, 0, 0, 0, 3, 3, 3]], np.float32)
    assert mass_window(density, (80, 40), 1.0) == Window(40, 0, 40, 40)
    assert point_window(density, (80, 40), 1.0) == Window(0, 0, 40, 40)


def test_the_heaviest_window_lies_on_the_heaviest_cells_of_any_grid() -> None:
    weights = np.array([[0.45, 0, 0, 0.2, 0.35]])
    assert heaviest_window(weights, (100, 40), 1.0) == Window(60, 0, 40, 40)
    assert heaviest_window(weights, (100, 20), 1.0) == Window(0, 0, 20, 20)


def test_a_fixation_counts_for_the_pixel_it_lies_in() -> None:
    fixations = np.array([[9.9, 0], [10, 0], [19.9, 0], [20, 0]], np.float32)
    assert kept(fixations, (40, 10), Window(10, 0, 10, 10)) == 0.5


def test_gap_closed() -> None:
    means = np.array([[0.8, 0.8, 0.9], [0.9, 0.8, 0.9], [0.7, 0.8, 0.9], [0.9, 0.9, 0.9]])
    assert gap_closed(means) == pytest.approx([0, 1, -1, np.nan], nan_ok=True)
