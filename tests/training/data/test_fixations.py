from pathlib import Path

import numpy as np
import pytest

from tests.training.samples import write_set
from training.data.fixations import (
    Photo,
    fixation_density,
    is_validation,
    read_fixation_set,
    split,
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
        ("image,subject,order,x,y\n1.jpg,0,0,five,5\n", ValueError, "line 2"),
        ("image,subject,order,x,y\n1.jpg,0,0,5,5\n", FileNotFoundError, r"names 1\.jpg"),
    ],
)
def test_broken_sets_are_refused(
    tmp_path: Path, table: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "fixations.csv").write_text(table)
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
