"""The targets of the map of what no cut may spoil, from real detectors."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.detectors import heads, text, weights
from training.stages.integrity import KINDS, Detectors, write_maps


@pytest.fixture
def detectors(head_detector: heads.HeadDetector, text_detector: text.TextDetector) -> Detectors:
    return Detectors(head_detector, text_detector)


@pytest.fixture
def photos(tmp_path: Path, astronaut: NDArray[np.uint8]) -> list[Path]:
    """The astronaut, and a photo of words."""
    folder = tmp_path / "set" / "images"
    folder.mkdir(parents=True)
    sign = np.full((240, 320, 3), 200, np.uint8)
    cv2.putText(sign, "NO ENTRY", (40, 130), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (40, 20, 20), 4)
    for name, pixels in (("astronaut.png", astronaut[:, :, ::-1]), ("sign.png", sign)):
        assert cv2.imwrite(str(folder / name), pixels)
    return sorted(folder.iterdir())


def test_maps_of_all_photos_even_if_interrupted(
    photos: list[Path], tmp_path: Path, detectors: Detectors
) -> None:
    run = tmp_path / "run"
    maps = write_maps(run, photos, lambda: detectors)
    assert maps.shape == (2, len(KINDS), 96, 96)
    assert ((maps >= 0) & (maps <= 1)).all()
    head, text = maps.astype(np.float32).max((2, 3)).T
    assert head[0] > 0.9
    assert head[1] < 0.1
    assert text[1] > 0.9
    stored = np.load(run / "integrity.npy", mmap_mode="r+")
    stored[0], stored[1] = 0.25, np.nan  # the first as it would be kept, the second not yet made
    stored.flush()
    resumed = write_maps(run, photos, lambda: detectors)
    assert (resumed[0] == 0.25).all()
    np.testing.assert_array_equal(resumed[1], maps[1])


def test_a_folder_of_other_photos_is_refused(
    photos: list[Path], tmp_path: Path, detectors: Detectors
) -> None:
    write_maps(tmp_path / "run", photos[1:], lambda: detectors)
    with pytest.raises(ValueError, match=r"integrity\.npy was made of other photos"):
        write_maps(tmp_path / "run", photos)


def test_without_the_detectors_nothing_is_begun(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="make detectors"):
        write_maps(tmp_path / "run", photos)
