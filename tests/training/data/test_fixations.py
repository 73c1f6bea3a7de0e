from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import encode
from tests.training.samples import write_set
from training.data.fixations import (
    Photo,
    check_photo,
    fixation_density,
    is_validation,
    read_fixation_set,
    split,
    upright_size,
)


def test_reads_a_fixation_set(tmp_path: Path) -> None:
    photos = read_fixation_set(write_set(tmp_path))
    assert len(photos) == 12
    assert photos[0].path.name == "0.png"
    assert photos[0].fixations.shape == (20, 2)
    assert set(photos[0].subjects) == {"0", "1", "2"}
    assert photos[0].pixels().shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ("image,subject,order,x,y,duration_ms\n", ValueError, "holds no fixation"),
        ("image,subject,x\n1.jpg,0,5\n", ValueError, "line 2"),
        ("image,subject,order,x,y\n1.png,0,0,five,5\n", ValueError, "line 2"),
        ("image,subject,order,x,y\n2.png,0,0,5,5\n", FileNotFoundError, r"line 2 names 2\.png"),
        ("image,subject,x,y\n1.png,0,63.9,5\n1.png,0,64,5\n", ValueError, r"line 3: \(64, 5\)"),
        ("image,subject,x,y\n1.png,0,5,-0.1\n", ValueError, r"outside 1\.png, 64×48 pixels"),
        ("image,subject,x,y\n1.png,0,nan,5\n", ValueError, "line 2: .*outside"),
        ("image,subject,x,y\nempty.png,0,5,5\n", ValueError, r"empty\.png cannot be read"),
        ("image,subject,x,y\n1.png,\xff,5,5\n", ValueError, r"csv cannot be read: .*decode"),
    ],
)
def test_broken_sets_are_refused(
    tmp_path: Path, table: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(encode(np.zeros((48, 64, 3), np.uint8), "PNG"))
    (tmp_path / "images" / "empty.png").touch()
    (tmp_path / "fixations.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(error, match=message):
        read_fixation_set(tmp_path)


def test_the_split_depends_on_the_name_alone() -> None:
    names = [f"{number}.jpg" for number in range(2000)]
    photos = [Photo(Path("a") / name, np.ones((1, 2), np.float32), ("0",)) for name in names]
    training, validation = split(photos)
    assert len(training) + len(validation) == 2000
    assert 340 < len(validation) < 460
    assert [photo.path.name for photo in validation] == list(filter(is_validation, names))


def test_density_counts_fixations_by_cell() -> None:
    fixations = np.array([[0, 0], [99, 49], [99.9, 49.9], [60, 10]], np.float32)
    density = fixation_density(fixations, width=100, height=50, grid=2)
    assert density.tolist() == [[0.25, 0.25], [0, 0.5]]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_of_the_decoded_photo(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert upright_size(path) == cv2.imread(str(path)).shape[1::-1]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_half_a_photo_is_refused(tmp_path: Path, coffee: NDArray[np.uint8], format: str) -> None:
    path = tmp_path / "photo"
    whole = encode(coffee, format)
    path.write_bytes(whole)
    check_photo(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="photo cannot be read as an image"):
        check_photo(path)
