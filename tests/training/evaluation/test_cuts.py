import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.cuts import (
    DIFFERENCE,
    Cuts,
    count_cuts,
    cut_columns,
    cut_row,
    difference_row,
    read_boxes,
    read_things,
)
from training.evaluation.retention import Window

SIZE = (200, 100)
HEADER = "image,left,top,width,height,view\n"


def test_a_thing_is_cut_if_a_tenth_or_more_lies_on_either_side() -> None:
    boxes = np.array([[0, 0, 10, 10], [95, 0, 10, 10], [99.5, 0, 10, 10], [150, 0, 10, 10]], float)
    assert count_cuts(boxes, SIZE, Window(0, 0, 100, 100)) == Cuts(4, 1, 1, 4, 1)
    assert count_cuts(boxes, SIZE, Window(0, 5, 200, 95)) == Cuts(4, 4, 0, 4, 4)


def test_small_things_do_not_count_and_tall_ones_count_twice() -> None:
    boxes = np.array([[95, 0, 10, 5], [95, 0, 10, 6], [95, 0, 10, 9], [95, 0, 10, 10]], float)
    assert count_cuts(boxes, SIZE, Window(0, 0, 100, 100)) == Cuts(3, 3, 0, 1, 1)
    assert count_cuts(None, SIZE, Window(0, 0, 100, 100)) == Cuts(0, 0, 0, 0, 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 180), st.integers(0, 80), st.integers(1, 20), st.integers(1, 20)),
        min_size=1,
        max_size=5,
    ),
    st.tuples(st.integers(0, 100), st.integers(0, 50), st.integers(1, 100), st.integers(1, 50)),
)
def test_counting_pixels_agrees(boxes: list[tuple[int, ...]], place: tuple[int, ...]) -> None:
    window = Window(*place)
    mask = np.zeros(SIZE[::-1])
    mask[window.top : window.bottom, window.left : window.right] = 1
    counting = [box for box in boxes if box[3] >= 6]
    shares = [mask[t : t + h, x : x + w].mean() for x, t, w, h in counting]
    cuts = count_cuts(np.array(boxes, float), SIZE, window)
    assert cuts.things == len(counting)
    clear = [share for share in shares if min(abs(share - 0.1), abs(share - 0.9)) > 1e-9]
    if len(clear) == len(shares):
        assert cuts.cut == sum(0.1 < share < 0.9 for share in shares)
        assert cuts.whole == sum(share > 0.9 for share in shares)


def test_shares_are_of_what_there_is() -> None:
    row = cut_row([[Cuts(4, 1, 2, 2, 1)], [Cuts(2, 0, 2, 0, 0)], [Cuts(0, 0, 0, 0, 0)]], "head")
    means = {column: value.mean for column, value in row.items()}
    assert means == pytest.approx(
        {
            "photos with a cut head": 0.5,
            "photos with a cut head 16:9": 0.5,
            "heads cut": 1 / 6,
            "tall heads cut": 0.5,
            "few heads cut": 1 / 6,
            "heads kept whole": 4 / 6,
        }
    )
    assert all(value.low <= value.mean <= value.high for value in row.values())


def test_differences_are_of_the_same_photos() -> None:
    """Photos differ a lot, two croppers always by the same: the difference is sure."""
    random = np.random.default_rng(0)
    things = random.integers(4, 40, 30)
    ours = [[Cuts(int(n), 1, int(n) // 2, 0, 0)] for n in things]
    theirs = [[Cuts(int(n), 0, int(n) // 2, 0, 0)] for n in things]
    row = difference_row(ours, theirs, "head")
    assert row["photos with a cut head"] == pytest.approx((1, 1, 1))
    assert row["heads kept whole"] == pytest.approx((0, 0, 0))


def test_one_cropper_is_compared_with_each_other() -> None:
    windows = {"left": [[Window(0, 0, 100, 100)]], "all": [[Window(0, 0, 200, 100)]]}
    things = {"head": {"a.jpg": np.array([[95, 0, 10, 20]], float)}}
    columns = cut_columns(things, windows, [("a.jpg", SIZE)], "left")
    assert columns["all"][DIFFERENCE + "photos with a cut head"].mean == 1
    assert columns["all"][DIFFERENCE + "heads kept whole"].mean == -1
    assert not any(column.startswith(DIFFERENCE) for column in columns["left"])


def test_a_share_of_nothing_is_none() -> None:
    row = cut_row([[Cuts(0, 0, 0, 0, 0)]] * 3, "line")
    assert all(math.isnan(value.mean) for value in row.values())


def test_a_set_may_tell_of_heads_and_lines_or_of_neither(tmp_path: Path) -> None:
    windows = {"left": [[Window(0, 0, 100, 100)]], "all": [[Window(0, 0, 200, 100)]]}
    photos = [("a.jpg", SIZE)]
    assert cut_columns(read_things(tmp_path), windows, photos) == {"left": {}, "all": {}}
    rows = "a.jpg,95,0,10,20,frontal\na.jpg,95,50,10,20,back\nb.jpg,0,0,9,9,profile\n"
    (tmp_path / "faces.csv").write_text(HEADER + rows)
    heads = read_boxes(tmp_path, "head")
    assert heads is not None
    assert {name: len(boxes) for name, boxes in heads.items()} == {"a.jpg": 1, "b.jpg": 1}
    columns = cut_columns(read_things(tmp_path), windows, photos)
    assert columns["left"]["photos with a cut head"].mean == 1
    assert columns["all"]["heads kept whole"].mean == 1
    assert read_boxes(tmp_path, "line") is None
    (tmp_path / "lines.csv").write_text("image,left,top,width,height\na.jpg,0,0,50,10\n")
    assert cut_columns(read_things(tmp_path), windows, photos)["left"]["lines kept whole"].mean == 1


@pytest.mark.parametrize("row", ["a.jpg,1,2,3", "a.jpg,1,2,3,x,back", "a.jpg,1,2,0,4,back"])
def test_what_is_no_box_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "heads.csv").write_text(HEADER + row + "\n")
    with pytest.raises(ValueError, match=r"heads\.csv, line 2"):
        read_boxes(tmp_path, "head")
