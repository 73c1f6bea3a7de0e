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
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.framing import frame


@dataclass(frozen=True)
class Photo:
    path: Path
    fixations: NDArray[np.float32]  # [n, 2]: x, y in pixels
    subjects: tuple[str, ...]  # who made each fixation

    def pixels(self) -> NDArray[np.uint8]:
        """RGB [height, width, 3]."""
        bgr = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError(f"{self.path} cannot be read as an image")
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


class FixationDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Framed photos with their fixation densities: pixels, extent, density.

    The photos are decoded once and kept. With `augment`, every access draws a new crop
    (which moves the fixations along), mirror image and brightness.
    """

    FEWEST_FIXATIONS = 8  # a crop with fewer says too little

    def __init__(
        self, photos: list[Photo], canvas: int, grid: int, augment: bool, seed: int = 0
    ) -> None:
        self.photos = photos
        self.canvas, self.grid, self.augment = canvas, grid, augment
        self.random = np.random.default_rng(seed)
        self.pixels = [photo.pixels() for photo in photos]

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        pixels, fixations = self.pixels[index], self.photos[index].fixations
        if self.augment:
            pixels, fixations = self._crop(pixels, fixations)
            pixels, fixations = self._mirror(pixels, fixations)
            pixels = self._light(pixels)
        density = fixation_density(fixations, pixels.shape[1], pixels.shape[0], self.grid)
        framed, extent = frame(pixels, self.canvas)
        return torch.from_numpy(framed), torch.from_numpy(extent), torch.from_numpy(density)

    def _crop(
        self, pixels: NDArray[np.uint8], fixations: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Half of the time a window of random place, size and shape; all shapes get seen."""
        if self.random.random() < 0.5:
            return pixels, fixations
        height, width = pixels.shape[:2]
        size = self.random.uniform(0.5, 1, 2) * (width, height)
        left_top = self.random.uniform(0, (width, height) - size)
        left, top, right, bottom = np.concatenate([left_top, left_top + size]).astype(int)
        moved = fixations - np.array([left, top], np.float32)
        inside = ((moved >= 0) & (moved < (right - left, bottom - top))).all(axis=1)
        if inside.sum() < self.FEWEST_FIXATIONS:
            return pixels, fixations
        return pixels[top:bottom, left:right], moved[inside]

    def _mirror(
        self, pixels: NDArray[np.uint8], fixations: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        if self.random.random() < 0.5:
            return pixels, fixations
        mirrored = fixations.copy()
        mirrored[:, 0] = pixels.shape[1] - fixations[:, 0]
        return np.ascontiguousarray(pixels[:, ::-1]), mirrored

    def _light(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Brightness and contrast, by one random straight line through the values."""
        values = np.arange(256) * self.random.uniform(0.7, 1.3) + self.random.uniform(-30, 30)
        return np.asarray(cv2.LUT(pixels, np.clip(values, 0, 255).astype(np.uint8)), np.uint8)
