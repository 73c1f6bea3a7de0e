import cv2
import numpy as np
from numpy.typing import NDArray

from training.detectors.maps import text_map
from training.detectors.text import TextDetector, components, grown


def written(words: str, left: int, bottom: int) -> NDArray[np.uint8]:
    photo = np.full((360, 480, 3), (190, 200, 210), np.uint8)
    cv2.putText(photo, words, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (20, 20, 60), 3)
    return photo


def test_finds_a_line_where_it_is_written(text_detector: TextDetector) -> None:
    photo = written("KEEP IT WHOLE", 60, 240)
    cells = text_map(text_detector.find(photo), (480, 360), 96)
    assert cells[58:62, 14:80].mean() > 0.8  # rows and columns of the letters
    assert cells[:45].max() == cells[75:].max() == 0


def test_takes_no_cup_for_text(text_detector: TextDetector, coffee: NDArray[np.uint8]) -> None:
    height, width = coffee.shape[:2]
    assert text_map(text_detector.find(coffee), (width, height), 96).max() < 0.5


def test_a_plain_photo_holds_no_line(text_detector: TextDetector) -> None:
    assert text_detector.find(np.full((200, 300, 3), 128, np.uint8)) == []


def test_reads_tiny_and_narrow_photos(text_detector: TextDetector) -> None:
    for height, width in ((1, 1), (3, 400), (400, 3)):
        assert text_detector.find(np.full((height, width, 3), 128, np.uint8)) == []


def test_a_shrunken_line_grows_to_its_full_height() -> None:
    mask = np.zeros((100, 300), np.uint8)
    mask[45:55, 50:250] = 1
    (outline,) = components(mask)
    left, top, width, height = cv2.boundingRect(grown(outline))
    reach = 1.6 * 199 * 9 / (2 * (199 + 9))  # the outline runs through pixels' centres
    np.testing.assert_allclose((left, top), (50 - reach, 45 - reach), atol=1)
    np.testing.assert_allclose((width, height), (200 + 2 * reach, 10 + 2 * reach), atol=2)
