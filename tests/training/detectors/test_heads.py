import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from training.detectors.heads import (
    HeadDetector,
    Vote,
    Widening,
    fused,
    mirrored,
    overlaps,
    tiles,
)

FACE = (224, 118)  # of the astronaut, between the eyes and the mouth
WHOLE = (0.0, 0.0, 640.0, 480.0)


def vote(detector: str, *scored: tuple[list[float], float], smallest: float = 20) -> Vote:
    boxes = np.array([box for box, _ in scored], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in scored], np.float32)
    return Vote(detector, boxes, scores, WHOLE, smallest)


def test_finds_the_astronaut_s_head(
    head_detector: HeadDetector, astronaut: NDArray[np.uint8]
) -> None:
    (head,) = [head for head in head_detector.find(astronaut) if head.score > 0.5]
    left, top, right, bottom = head.box
    assert head.score > 0.95
    assert left < FACE[0] - 40
    assert right > FACE[0] + 40
    assert top < 40  # the hair
    assert bottom > 185  # the chin
    assert bottom - top < 260


def test_finds_it_in_the_mirror_image(
    head_detector: HeadDetector, astronaut: NDArray[np.uint8]
) -> None:
    image = np.ascontiguousarray(astronaut[:, ::-1])
    best = max(head_detector.find(image), key=lambda head: head.score)
    width = astronaut.shape[1]
    (original,) = [head for head in head_detector.find(astronaut) if head.score > 0.5]
    back = np.array([width - best.box[2], best.box[1], width - best.box[0], best.box[3]])
    assert overlaps(original.box, back[None]).item() > 0.85


def test_sees_no_head_in_a_cup(head_detector: HeadDetector, coffee: NDArray[np.uint8]) -> None:
    assert not [head for head in head_detector.find(coffee) if head.score > 0.5]


def test_two_detectors_are_surer_than_one() -> None:
    box = [100.0, 100.0, 160.0, 180.0]
    (head,) = fused([vote("one", (box, 0.8)), vote("other", (box, 0.5))])
    assert head.score == pytest.approx(1 - 0.2 * 0.5)
    assert head.box == pytest.approx(box)


def test_a_view_that_misses_a_head_halves_the_detector_s_vote() -> None:
    box = [100.0, 100.0, 160.0, 180.0]
    (head,) = fused([vote("one", (box, 0.8)), vote("one")])
    assert head.score == pytest.approx(0.4)


def test_a_view_too_coarse_for_a_head_has_no_vote() -> None:
    box = [100.0, 100.0, 130.0, 140.0]
    (head,) = fused([vote("one", (box, 0.8)), vote("one", smallest=50)])
    assert head.score == pytest.approx(0.8)


def test_a_tile_that_holds_a_part_of_a_head_has_no_vote() -> None:
    box = [300.0, 100.0, 360.0, 180.0]
    tile = Vote("one", np.zeros((0, 4), np.float32), np.zeros(0, np.float32), (0, 0, 330, 300), 20)
    (head,) = fused([vote("one", (box, 0.8)), tile])
    assert head.score == pytest.approx(0.8)


def test_two_heads_stay_two() -> None:
    boxes = [100.0, 100.0, 160.0, 180.0], [170.0, 100.0, 230.0, 180.0]
    heads = fused([vote("one", *((box, 0.9) for box in boxes))])
    assert sorted(head.box[0] for head in heads) == [100, 170]


def test_no_vote_no_head() -> None:
    assert fused([vote("one"), vote("other")]) == []


def test_a_face_grows_upwards_and_to_both_sides() -> None:
    faces = np.array([[100, 100, 130, 150]], np.float32)
    assert Widening(2, 1.8, 0.12)(faces)[0] == pytest.approx([85, 74, 145, 164])


@given(st.integers(2, 2000), st.integers(2, 2000))
def test_tiles_lie_inside_the_photo_and_cover_it(width: int, height: int) -> None:
    seen = np.zeros((height, width), bool)
    for left, top, right, bottom in tiles(width, height)[1:]:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        seen[int(top) : int(bottom), int(left) : int(right)] = True
    assert seen.all()


@given(st.floats(0, 600), st.floats(1, 300))
def test_the_mirror_image_s_mirror_image_is_the_photo(left: float, width: float) -> None:
    once = vote("one", ([left, 10.0, left + width, 50.0], 0.9))
    twice = mirrored(mirrored(once, 640), 640)
    np.testing.assert_allclose(twice.heads, once.heads, atol=1e-3)
