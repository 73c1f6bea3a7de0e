import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from training.detectors.heads import Head
from training.detectors.maps import head_map, text_map
from training.detectors.text import Line


def head(left: float, top: float, width: float, height: float, score: float = 1.0) -> Head:
    return Head(np.array([left, top, left + width, top + height], np.float32), score)


@given(st.floats(0, 400), st.floats(0, 250), st.floats(40, 200), st.floats(40, 200))
def test_a_head_covers_the_ellipse_in_its_box(
    left: float, top: float, width: float, height: float
) -> None:
    cells = head_map([head(left, top, width, height)], (640, 480), 96)
    area = cells.sum() * 640 * 480 / 96**2
    assert area == pytest.approx(np.pi / 4 * width * height, rel=0.15)
    rows, columns = np.nonzero(cells)
    assert columns.min() * 640 / 96 >= left - 7
    assert rows.min() * 480 / 96 >= top - 6
    assert (columns.max() + 1) * 640 / 96 <= left + width + 7


def test_a_doubtful_head_counts_less() -> None:
    assert head_map([head(100, 100, 200, 200, 0.3)], (640, 480), 96).max() == pytest.approx(0.3)


def test_the_surest_wins_where_heads_overlap() -> None:
    heads = [head(100, 100, 200, 200, 0.9), head(100, 100, 200, 200, 0.3)]
    assert head_map(heads, (640, 480), 96)[40, 30] == pytest.approx(0.9)


def test_a_head_may_reach_beyond_the_photo() -> None:
    cells = head_map([head(-100, -50, 200, 100)], (640, 480), 96)
    assert cells[0, 0] == 1
    assert cells[20:].max() == 0


def test_nothing_found_is_an_empty_map() -> None:
    assert head_map([], (640, 480), 96).shape == text_map([], (640, 480), 96).shape == (96, 96)
    assert head_map([], (640, 480), 96).max() == text_map([], (640, 480), 96).max() == 0


@pytest.mark.parametrize(("score", "sure"), [(0.1, 0), (0.35, 0.5), (0.9, 1)])
def test_a_line_is_as_sure_as_its_surest_character(score: float, sure: float) -> None:
    outline = np.array([[64, 48], [320, 48], [320, 96], [64, 96]], np.int32)
    cells = text_map([Line(outline, score)], (640, 480), 96)
    assert cells[12:18, 12:44] == pytest.approx(np.full((6, 32), sure), abs=1e-6)
    assert cells[22:].max() == 0
