"""Fixation sets: photos with the points at which people looked.

A set is a folder with `images/` and `fixations.csv`, whose columns are
`image,subject,order,x,y,duration_ms`; x and y are pixels of that image from its top left.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image


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


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo as `read_pixels` reads it, from the head of its file.

    Raises:
        ValueError: the file cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return image.size[::-1] if turned else image.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image") from error


def check_photo(path: Path) -> None:
    """Decode a photo wholly: half a file has a head too.

    Raises:
        ValueError: the file cannot be read as an image, or ends too early.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def read_fixation_set(folder: Path) -> list[Photo]:
    """The photos of a fixation set, in the order of their names.

    Raises:
        FileNotFoundError: the table, or a photo that it names, is missing.
        ValueError: the table has no row, or a row lacks a column or lies outside its photo;
            or a photo cannot be read. The message names the file, and the line.
    """
    table = folder / "fixations.csv"
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    subjects: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, tuple[int, int]] = {}
    for number, row in _rows(table):
        where = f"{table}, line {number}"
        try:
            name, subject, x, y = row["image"], row["subject"], float(row["x"]), float(row["y"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where}: no image,subject,x,y") from error
        if name not in sizes:
            sizes[name] = _size_of_named(folder / "images" / name, where)
        width, height = sizes[name]
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"{where}: ({x:g}, {y:g}) is outside {name}, {width}×{height} pixels")
        points[name].append((x, y))
        subjects[name].append(subject)
    if not points:
        raise ValueError(f"{table} holds no fixation")
    return [
        Photo(folder / "images" / name, np.array(points[name], np.float32), tuple(subjects[name]))
        for name in sorted(points)
    ]


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table, each with its line in the file."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                yield reader.line_num, row
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{table} cannot be read: {error}") from error


def _size_of_named(path: Path, where: str) -> tuple[int, int]:
    if not path.is_file():
        raise FileNotFoundError(f"{where} names {path.name}, which is not in {path.parent}")
    return upright_size(path)


def is_validation(name: str) -> bool:
    """One photo in five, by a hash of its file name: stable whatever is added to the set."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5 == 0


def fold(name: str, folds: int) -> int:
    """Which of the folds a photo belongs to, by another hash of its file name."""
    return int(hashlib.sha256(b"fold" + name.encode()).hexdigest(), 16) % folds


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
