"""Fixation sets: photos with the points at which people looked.

A set is a folder with `images/` and `fixations.csv`, whose columns are
`image,subject,order,x,y,duration_ms`; x and y are pixels of that image from its top left.
"""

import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Photo:
    path: Path
    fixations: NDArray[np.float32]  # [n, 2]: x, y in pixels
    subjects: tuple[str, ...]  # who made each fixation

    def pixels(self) -> NDArray[np.uint8]:
        """RGB [height, width, 3]."""
        return read_pixels(self.path)


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """The photo in a file, RGB [height, width, 3].

    Raises:
        ValueError: the file cannot be read as an image.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError(f"{path} cannot be read as an image")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def read_fixation_set(folder: Path) -> list[Photo]:
    """The photos of a fixation set, in the order of their names.

    Raises:
        FileNotFoundError: the table, or a photo that it names, is missing.
        ValueError: the table has no row, or a row lacks a column or holds no number.
    """
    table = folder / "fixations.csv"
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    subjects: dict[str, list[str]] = defaultdict(list)
    with table.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                points[row["image"]].append((float(row["x"]), float(row["y"])))
                subjects[row["image"]].append(row["subject"])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{table}, line {number}: no image,subject,x,y") from error
    if not points:
        raise ValueError(f"{table} holds no fixation")
    photos = []
    for name in sorted(points):
        path = folder / "images" / name
        if not path.is_file():
            raise FileNotFoundError(f"{table} names {name}, which is not in {path.parent}")
        photos.append(Photo(path, np.array(points[name], np.float32), tuple(subjects[name])))
    return photos


def is_validation(name: str) -> bool:
    """One photo in five, by a hash of its file name: stable whatever is added to the set."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5 == 0


def split(photos: list[Photo]) -> tuple[list[Photo], list[Photo]]:
    """The photos to train on, and those to validate on."""
    validation = [photo for photo in photos if is_validation(photo.path.name)]
    return [photo for photo in photos if not is_validation(photo.path.name)], validation


def fixation_density(
    fixations: NDArray[np.float32], width: int, height: int, grid: int
) -> NDArray[np.float32]:
    """The share of the fixations in each cell of a grid over the photo, [grid, grid]."""
    cells = fixations / (width, height) * grid
    column, row = np.clip(cells.astype(int), 0, grid - 1).T
    counts = np.zeros((grid, grid), np.float32)
    np.add.at(counts, (row, column), 1)
    return counts / counts.sum()
