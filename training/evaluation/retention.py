"""Crop retention: the share of human fixations that a crop keeps.

This is what the product is for. A window is the largest of its ratio in the photo; a rule
says where it lies:

    mass      where the window holds most of the density, times a broad Gaussian around the
              centre, as the client does it
    point     around the densest cell, as Twitter did it in 2018
    centre    in the middle, whatever the photo shows

Sizes are (width, height) in pixels, ratios are width over height.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics import fixated_pixels, fixation_counts

RATIOS = {"16:9": 16 / 9, "1:1": 1.0, "4:5": 4 / 5, "1:2": 1 / 2}
CENTRE_SIGMA = 0.4  # of a side: the client's


class Window(NamedTuple):
    left: int
    top: int
    width: int
    height: int


class Retention(NamedTuple):
    """Shares of the fixations inside three windows."""

    kept: float  # placed by the density
    centred: float
    best: float  # no window of this size keeps more


def largest_size(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    """The largest (width, height) of this ratio inside a photo, to the nearest pixel."""
    width, height = size
    if width > height * ratio:
        return max(1, round(height * ratio)), height
    return width, min(height, max(1, round(width / ratio)))


def mass_window(density: NDArray[np.float32], size: tuple[int, int], ratio: float) -> Window:
    """The window that holds the most of a density [h, w] over the photo, times the Gaussian."""
    down, across = (
        np.exp(-((((np.arange(cells) + 0.5) / cells - 0.5) / CENTRE_SIGMA) ** 2) / 2)
        for cells in density.shape
    )
    weights = density * np.outer(down, across)
    return heaviest_window(weights / weights.sum(), size, ratio)


def heaviest_window(weights: NDArray[Any], size: tuple[int, int], ratio: float) -> Window:
    """The window that holds the most of weights [h, w] over the photo; they sum to 1.

    The weight of a cell is spread evenly. Of equally good places, the nearest to the centre.
    """
    width, height = largest_size(size, ratio)
    left = _heaviest_start(weights.sum(axis=0, dtype=float), size[0], width)
    top = _heaviest_start(weights.sum(axis=1, dtype=float), size[1], height)
    return Window(left, top, width, height)


def _heaviest_start(mass: NDArray[np.float64], side: int, length: int) -> int:
    """Where along a side of equal cells a window of this length holds most of their mass."""
    starts = np.arange(side - length + 1)
    edges = np.linspace(0, side, len(mass) + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    inside = np.interp(starts + length, edges, cumulative) - np.interp(starts, edges, cumulative)
    best = starts[inside >= inside.max() - 1e-9]
    return int(best[np.argmin(np.abs(best - (side - length) / 2))])


def point_window(density: NDArray[np.float32], size: tuple[int, int], ratio: float) -> Window:
    """The window centred on the first densest cell of [h, w], moved into the photo."""
    row, column = np.unravel_index(int(density.argmax()), density.shape)
    x, y = (np.array([column, row]) + 0.5) / density.shape[::-1] * size
    return window_around((x, y), size, ratio)


def window_around(point: tuple[float, float], size: tuple[int, int], ratio: float) -> Window:
    """The window centred on a point (x, y), moved into the photo."""
    length = np.array(largest_size(size, ratio))
    left, top = np.clip(np.rint(point - length / 2).astype(int), 0, size - length)
    return Window(int(left), int(top), int(length[0]), int(length[1]))


def centre_window(size: tuple[int, int], ratio: float) -> Window:
    """The window in the middle, half a pixel to the left or top where it must be."""
    width, height = largest_size(size, ratio)
    return Window((size[0] - width) // 2, (size[1] - height) // 2, width, height)


def best_window(fixations: NDArray[np.float32], size: tuple[int, int], ratio: float) -> Window:
    """The window that keeps the most fixations [n, 2]."""
    counts = fixation_counts(fixations, *size)
    return heaviest_window(counts / counts.sum(), size, ratio)


def kept(fixations: NDArray[np.float32], size: tuple[int, int], window: Window) -> float:
    """The share of the fixations [n, 2] inside a window."""
    row, column = fixated_pixels(fixations, *size)
    across = (column >= window.left) & (column < window.left + window.width)
    down = (row >= window.top) & (row < window.top + window.height)
    return float((across & down).mean())


def retention(
    density: NDArray[np.float32],
    size: tuple[int, int],
    fixations: NDArray[np.float32],
    ratio: float,
) -> Retention:
    """What the mass window of a density keeps, and the two windows to compare it with."""
    windows = (
        mass_window(density, size, ratio),
        centre_window(size, ratio),
        best_window(fixations, size, ratio),
    )
    return Retention(*(kept(fixations, size, window) for window in windows))


def gap_closed(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(kept − centred) / (best − centred), of means over photos [..., 3] in `Retention`'s order.

    0 is a centred crop, 1 the best possible, less than 0 harm; NaN where the centred crop is
    already the best.
    """
    kept_, centred, best = np.moveaxis(means, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(best > centred, (kept_ - centred) / (best - centred), np.nan))
