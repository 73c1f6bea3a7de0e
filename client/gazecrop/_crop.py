"""Crop windows: which rectangle of the wanted shape holds the most attention."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gazecrop._errors import InvalidArgument
from gazecrop._photo import Photo, upright

Ratio: TypeAlias = str | float | tuple[float, float]


@dataclass(frozen=True)
class Rect:
    """A rectangle inside a photo, in whole pixels of the upright photo."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


@dataclass(frozen=True)
class Crop:
    """A chosen window."""

    rect: Rect
    kept: float  # share of the predicted attention that falls inside
    size: tuple[int, int]  # (width, height) of the upright photo that it was chosen for

    def apply(self, photo: Photo) -> Image.Image:
        """Cut the window out of the photo, turned upright first.

        Raises:
            InvalidArgument: the photo cannot be decoded, or is not the one predicted.
        """
        image = upright(photo)
        if image.size != self.size:
            raise InvalidArgument(
                f"this crop belongs to a photo of {self.size[0]}×{self.size[1]} pixels, "
                f"not {image.width}×{image.height}"
            )
        rect = self.rect
        return image.crop((rect.left, rect.top, rect.right, rect.bottom))


def parse_ratio(ratio: Ratio) -> float:
    """Width over height of "16:9", 1.78 or (1200, 675).

    Raises:
        InvalidArgument: it is none of these, or not positive.
    """
    try:
        if isinstance(ratio, str):
            width, _, height = ratio.partition(":")
            value = float(width) / float(height or 1)
        elif isinstance(ratio, tuple):
            value = float(ratio[0]) / float(ratio[1])
            if len(ratio) > 2:
                raise ValueError
        else:
            value = float(ratio)
        if not (math.isfinite(value) and value > 0):
            raise ValueError
    except (ValueError, TypeError, ZeroDivisionError, IndexError, OverflowError):
        raise InvalidArgument(
            f"an aspect ratio is like '16:9', 1.78 or (1200, 675), not {ratio!r}"
        ) from None
    return value


def largest_size(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    """The largest (width, height) of this ratio inside a photo, to the nearest pixel."""
    width, height = size
    if width > height * ratio:
        return max(1, round(height * ratio)), height
    return width, min(height, max(1, round(width / ratio)))


def best_window(density: NDArray[np.float32], size: tuple[int, int], ratio: float) -> Crop:
    """The largest window of this ratio, placed where it holds the most of the density.

    The mass of a cell counts as spread evenly over its area, so windows may end inside
    cells. Of equally good places the one nearest to the centre is taken.
    """
    width, height = largest_size(size, ratio)
    # The largest window spans the photo on one side at least: it slides along the other.
    left = _best_start(density.sum(axis=0, dtype=float), size[0], width)
    top = _best_start(density.sum(axis=1, dtype=float), size[1], height)
    rect = Rect(left, top, width, height)
    return Crop(rect, kept(density, size, rect), size)


def kept(density: NDArray[np.float32], size: tuple[int, int], rect: Rect) -> float:
    """The share of the density inside a rectangle."""
    columns = _overlap(density.shape[1], size[0], rect.left, rect.right)
    rows = _overlap(density.shape[0], size[1], rect.top, rect.bottom)
    return float(min(1.0, rows @ density.astype(float) @ columns))


def _overlap(cells: int, side: int, start: int, end: int) -> NDArray[np.float64]:
    """The share of each of `cells` equal parts of a side that lies between two pixels."""
    edges = np.clip(np.linspace(0, side, cells + 1), start, end)
    return np.diff(edges) * (cells / side)


def _best_start(mass: NDArray[np.float64], side: int, length: int) -> int:
    """Where along a side a window of this length holds the most of the mass in its cells."""
    starts = np.arange(side - length + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    edges = np.linspace(0, side, len(cumulative))
    inside = np.interp(starts + length, edges, cumulative) - np.interp(starts, edges, cumulative)
    best = starts[inside >= inside.max() - 1e-9]
    return int(best[np.argmin(np.abs(best - (side - length) / 2))])
