import numpy as np
import pytest
from numpy.typing import NDArray

from training.detectors.maps import text_map
from training.detectors.text import TextDetector
from training.evaluation.written import CONTRASTS, SIZES, with_words

PLAIN = np.full((480, 640, 3), 90, np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_label_is_around_all_that_was_written(seed: int) -> None:
    photo, labels = with_words(PLAIN, np.random.default_rng(seed))
    changed = (photo != PLAIN).any(axis=2)
    assert len(labels) == 2
    for label in labels:
        left, top, right, bottom = np.round(label.box * np.tile((640, 480), 2)).astype(int)
        inside = changed[top:bottom, left:right]
        edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
        assert all(edge.any() for edge in edges)
        assert SIZES[0] * 0.9 <= label.box[3] - label.box[1] <= SIZES[1] * 1.1
        changed[top:bottom, left:right] = False
    assert not changed.any()


def test_words_differ_from_what_is_under_them_by_their_contrast() -> None:
    photo, labels = with_words(PLAIN, np.random.default_rng(1))
    for label in labels:
        left, top, right, bottom = np.round(label.box * np.tile((640, 480), 2)).astype(int)
        words = photo[top:bottom, left:right].mean(axis=2)
        assert words.max() - 90 == pytest.approx(CONTRASTS[label.view] * 255, abs=2)


def test_a_photo_without_room_stays_as_it_is(coffee: NDArray[np.uint8]) -> None:
    narrow = coffee[:, :3]
    photo, labels = with_words(narrow, np.random.default_rng(0))
    assert not labels
    assert (photo == narrow).all()


def test_a_detector_finds_what_is_written_in_strong_contrast(text_detector: TextDetector) -> None:
    for seed in range(20):
        photo, labels = with_words(PLAIN, np.random.default_rng(seed))
        strong = [label for label in labels if label.view == "strong"]
        cells = text_map(text_detector.find(photo), (640, 480), 96)
        for label in strong:
            left, top, right, bottom = np.round(label.box * 96).astype(int)
            assert cells[top:bottom, left:right].mean() > 0.3
