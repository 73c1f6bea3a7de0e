from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import encode
from training.data.photos import drop_near_duplicates, find_photos, perceptual_hash

Pixels = NDArray[np.uint8]

NAMES = ("astronaut", "cat", "coffee", "colorwheel", "hubble_deep_field", "rocket")


@pytest.fixture(scope="module")
def photos() -> dict[str, Pixels]:
    return {name: np.asarray(getattr(skimage.data, name)())[..., :3] for name in NAMES}


def recompress(pixels: Pixels) -> Pixels:
    jpeg = np.frombuffer(encode(pixels, quality=30), np.uint8)
    return np.asarray(cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def resize(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, (150, 170), interpolation=cv2.INTER_AREA))


def crop(pixels: Pixels) -> Pixels:
    cut = round(pixels.shape[0] * 0.01), round(pixels.shape[1] * 0.01)
    return pixels[cut[0] : -cut[0], cut[1] : -cut[1]]


def mirror(pixels: Pixels) -> Pixels:
    return pixels[:, ::-1]


def brighten(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=0.9, beta=15), np.uint8)


def save(path: Path, pixels: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return path


@pytest.mark.parametrize("change", [recompress, resize, crop, mirror, brighten])
def test_changed_copies_are_dropped_and_nothing_else(
    tmp_path: Path, photos: dict[str, Pixels], change: Callable[[Pixels], Pixels]
) -> None:
    held_out = [save(tmp_path / "held_out" / f"{n}.png", p) for n, p in list(photos.items())[:3]]
    copies = [save(tmp_path / "photos" / f"{n}.png", change(p)) for n, p in photos.items()]
    assert drop_near_duplicates(copies, held_out) == copies[3:]


def test_a_larger_distance_drops_more(tmp_path: Path, photos: dict[str, Pixels]) -> None:
    original = save(tmp_path / "a.png", photos["coffee"])
    strong_crop = save(tmp_path / "b.png", photos["coffee"][60:-60, 60:-60])
    assert drop_near_duplicates([strong_crop], [original]) == [strong_crop]
    assert drop_near_duplicates([strong_crop], [original], distance=64) == []


def test_without_validation_photos_nothing_is_dropped(tmp_path: Path) -> None:
    photo = save(tmp_path / "a.png", np.zeros((20, 20, 3), np.uint8))
    assert drop_near_duplicates([photo], []) == [photo]
    assert drop_near_duplicates([], [photo]) == []


def test_the_hash_has_64_bits_and_half_of_them_set(photos: dict[str, Pixels]) -> None:
    for pixels in photos.values():
        assert 0 <= perceptual_hash(pixels) < 2**64
        assert bin(perceptual_hash(pixels)).count("1") == 32


def test_grey_photos_are_hashed_too(photos: dict[str, Pixels]) -> None:
    grey = np.asarray(cv2.cvtColor(photos["coffee"], cv2.COLOR_RGB2GRAY), np.uint8)
    assert perceptual_hash(grey) == perceptual_hash(photos["coffee"])


def test_photos_are_found_in_all_folders(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/c/1.webp", "a/3.jpeg", "a/1.jpg", "a/notes.txt", "a/x.jpg/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_photos([tmp_path / "b", tmp_path / "a", tmp_path / "a"])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["a/1.jpg", "a/3.jpeg", "a/x.jpg/4.jpg", "b/2.PNG", "b/c/1.webp"]


def test_missing_folders_and_unreadable_photos_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        find_photos([tmp_path / "nowhere"])
    whole = save(tmp_path / "whole.png", np.zeros((20, 20, 3), np.uint8))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be read as an image"):
        drop_near_duplicates([broken], [whole])
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be read as an image"):
        drop_near_duplicates([whole], [broken])
