from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.maps import read_map_set


def write_maps(folder: Path) -> Path:
    for kind in ("images", "maps"):
        (folder / kind).mkdir()
    cv2.imwrite(str(folder / "images" / "a.jpg"), np.zeros((40, 60, 3), np.uint8))
    grey = np.zeros((20, 30), np.uint8)
    grey[5, 10] = 255
    cv2.imwrite(str(folder / "maps" / "a.png"), grey)
    return folder


def test_maps_lie_on_the_photos_pixels(tmp_path: Path) -> None:
    (photo,) = read_map_set(write_maps(tmp_path))
    human = photo.human(60, 40)
    assert human.shape == photo.pixels().shape[:2] == (40, 60)
    assert human.sum() == pytest.approx(1)
    rows, columns = np.nonzero(human)
    assert (rows.mean(), columns.mean()) == (10.5, 20.5)
    assert photo.human(15, 10).sum() == pytest.approx(1)


def test_broken_sets_are_refused(tmp_path: Path) -> None:
    folder = write_maps(tmp_path)
    path = folder / "maps" / "a.png"
    cv2.imwrite(str(path), np.zeros((20, 30), np.uint8))
    with pytest.raises(ValueError, match=r"a\.png is black"):
        read_map_set(folder)[0].human(60, 40)
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        read_map_set(folder)[0].human(60, 40)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.jpg has no map"):
        read_map_set(folder)
    (folder / "images" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="holds no photo"):
        read_map_set(folder)
