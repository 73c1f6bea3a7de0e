from pathlib import Path

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray

from tests.training.samples import TINY, write_set
from training.data.fixations import read_fixation_set, split
from training.evaluation import detection as measured
from training.evaluation.detection import (
    LINE_SIZES,
    VERSIONS,
    agreement,
    detection,
    labelled_photos,
    measure,
    photos_with_lines,
    photos_with_words,
    read_boxes,
    text_detectors,
)
from training.evaluation.labels import Label
from training.networks import student


def label(left: float, top: float, right: float, bottom: float, view: str = "") -> Label:
    return Label(np.array([left, top, right, bottom]), view)


def drawn(*boxes: tuple[int, int, int, int], value: float = 1.0) -> NDArray[np.float32]:
    """A map of 20 × 20 cells with boxes of cells: left, top, right, bottom."""
    cells = np.zeros((20, 20), np.float32)
    for left, top, right, bottom in boxes:
        cells[top:bottom, left:right] = value
    return cells


def test_counts_what_is_found_by_size_and_view() -> None:
    heads = [label(0.1, 0.1, 0.2, 0.25, "frontal"), label(0.5, 0.5, 0.6, 0.75, "back")]
    result = detection([drawn((2, 2, 4, 5))], [heads], 0.5)
    assert result.recall["10%–20%", "frontal"].recall == 1
    assert result.recall["≥ 20%", "back"].recall == 0
    assert result.precision == 1


def test_lines_have_sizes_of_their_own() -> None:
    line = label(0.1, 0.1, 0.5, 0.16, "faint")
    result = detection([drawn((2, 2, 10, 4))], [[line]], 0.5, LINE_SIZES)
    assert result.recall["5%–8%", "faint"].recall == 1


def test_what_lies_on_no_head_lowers_precision() -> None:
    result = detection([drawn((2, 2, 4, 4), (10, 10, 12, 13))], [[label(0.1, 0.1, 0.2, 0.2)]], 0.5)
    assert result.precision == pytest.approx(4 / 10)


def test_a_faint_map_finds_nothing() -> None:
    result = detection([drawn((2, 2, 4, 4), value=0.4)], [[label(0.1, 0.1, 0.2, 0.2)]], 0.5)
    assert [kind.found for kind in result.recall.values()] == [0]
    assert np.isnan(result.precision)


@given(st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0.05, 0.3))
def test_an_even_map_has_its_mean_in_any_box(left: float, top: float, side: float) -> None:
    box = np.array([left, top, left + side, top + side])
    assert measured.mean_inside(np.full((7, 13), 0.6, np.float32), box) == pytest.approx(0.6)


def test_agreement_of_a_map_with_one_twice_as_wide() -> None:
    assert agreement(drawn((2, 2, 6, 4)), drawn((2, 2, 10, 4))) == pytest.approx((0.5, 1))


def test_a_table_without_numbers_is_refused_by_its_line(tmp_path: Path) -> None:
    table = tmp_path / "heads.csv"
    table.write_text("image,left,top,width,height\na.jpg,1,2,3,4\na.jpg,1,2,x,4\n")
    with pytest.raises(ValueError, match="line 3"):
        read_boxes(table)


def test_measures_a_finder_on_labelled_photos(tmp_path: Path) -> None:
    """A finder of white squares, on photos of one white square."""
    rows = ["image,left,top,width,height"]
    for number, corner in enumerate((20, 60)):
        photo = np.zeros((120, 160, 3), np.uint8)
        photo[corner : corner + 30, corner : corner + 30] = 255
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), photo)
        rows.append(f"{number}.png,{corner},{corner},30,30")
    table = tmp_path / "heads.csv"
    table.write_text("\n".join(rows))

    def white(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (pixels[..., 0] > 127).astype(np.float32)

    results = measure(white, labelled_photos(tmp_path, table))
    assert [result.recall["≥ 20%", ""].recall for result in results] == [1, 1, 1]
    assert [result.precision for result in results] == [1, 1, 1]
    assert "| ≥ 20%  | 2 | 1.00 | 1.00 | 1.00 |" in measured.table_of(results)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    table = tmp_path / "heads.csv"
    table.write_text("image,left,top,width,height\ngone.jpg,1,2,3,4\n")
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        list(labelled_photos(tmp_path, table))


@pytest.fixture
def lettered(tmp_path: Path) -> Path:
    """A set whose one validation photo says something."""
    write_set(tmp_path / "set", photos=12, size=(480, 360))
    photos = split(read_fixation_set(tmp_path / "set"))[1]
    for number, photo in enumerate(photos):
        pixels = np.full((360, 480, 3), 200, np.uint8)
        if number == 0:
            cv2.putText(
                pixels, "KEEP IT", (60, 240), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (20, 20, 60), 3
            )
        assert cv2.imwrite(str(photo.path), pixels)
    return tmp_path / "set"


@pytest.mark.usefixtures("installed")
def test_lines_that_detectors_find_are_labels(lettered: Path) -> None:
    ((_, labels),) = photos_with_lines([lettered])
    (line,) = labels
    left, top, right, bottom = line.box * np.tile((480, 360), 2)
    assert left == pytest.approx(60, abs=12)
    assert right > 200
    assert (top, bottom) == pytest.approx((210, 242), abs=12)


@pytest.mark.usefixtures("installed")
def test_words_are_written_only_where_there_are_none(lettered: Path) -> None:
    free = len(split(read_fixation_set(lettered))[1]) - 1
    examples = list(photos_with_words([lettered]))
    assert len(examples) == VERSIONS * free > 0
    recall = measure(text_detectors(), examples, LINE_SIZES)[0].recall
    strong = [found for (_, contrast), found in recall.items() if contrast == "strong"]
    assert sum(kind.found for kind in strong) > 0.8 * sum(kind.things for kind in strong)


def test_a_student_is_measured_by_its_second_map(tmp_path: Path, coffee: NDArray[np.uint8]) -> None:
    torch.manual_seed(0)
    student.save(student.Student(TINY).eval(), tmp_path / "student.safetensors")
    found = measured.integrity_of(tmp_path / "student.safetensors")(coffee)
    assert found.shape == (TINY.grid, TINY.grid)
    assert ((found > 0) & (found < 1)).all()
