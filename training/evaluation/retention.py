"""Crop retention: the share of human fixations that a crop keeps.

This is what the product is for. A window is the largest of its ratio in the photo; the client
(`gazecrop.Saliency.crop`) places it by one of its methods:

    mass      where the window holds most of the density, times a broad Gaussian around the centre
    point     around the densest cell, as Twitter did it in 2018
    centre    in the middle, whatever the photo shows

Sizes are (width, height) in pixels, ratios are width over height.
"""

from typing import Any, NamedTuple, TypeAlias

import gazecrop
import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics import fixated_pixels, fixation_counts

Window: TypeAlias = gazecrop.Rect

RATIOS = {"16:9": 16 / 9, "1:1": 1.0, "4:5": 4 / 5, "1:2": 1 / 2}
NOTHING = np.ones((1, 1), np.float32)  # the density that says nothing of where to look


class Retention(NamedTuple):
    """Shares of the fixations inside three windows."""

    kept: float  # placed by the density
    centred: float
    best: float  # no window of this size keeps more


def mass_window(density: NDArray[np.float32], size: tuple[int, int], ratio: float) -> Window:
    """The client's window for a density [h, w] over the photo."""
    return gazecrop.Saliency(density, size).crop(ratio).rect


def point_window(density: NDArray[np.float32], size: tuple[int, int], ratio: float) -> Window:
    """The window centred on the densest cell of [h, w], moved into the photo."""
    return gazecrop.Saliency(density, size).crop(ratio, method="point").rect


def window_around(point: tuple[float, float], size: tuple[int, int], ratio: float) -> Window:
    """The window centred on a point (x, y) of the photo, moved into it."""
    return gazecrop.Saliency(NOTHING, size).crop(ratio, method="point", focus=point).rect


def centre_window(size: tuple[int, int], ratio: float) -> Window:
    """The window in the middle, half a pixel to the left or top where it must be."""
    return gazecrop.Saliency(NOTHING, size).crop(ratio, method="centre").rect


def largest_size(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    """The largest (width, height) of this ratio inside a photo, to the nearest pixel."""
    window = centre_window(size, ratio)
    return window.width, window.height


def heaviest_window(weights: NDArray[Any], size: tuple[int, int], ratio: float) -> Window:
    """The window that holds the most of weights [h, w] over the photo; they sum to 1.

    The weight of a cell is spread evenly. Unlike the client's window it has no preference for
    the centre, but among equally good places.
    """
    width, height = largest_size(size, ratio)
    left = _heaviest_start(weights.sum(axis=0, dtype=float), size[0], width)
    top = _heaviest_start(weights.sum(axis=1, dtype=float), size[1], height)
    return Window(left, top, width, height)


def _heaviest_start(mass: NDArray[np.float64], side: int, length: int) -> int:
    """Where along a side of equal cells a window of this length holds most of their mass."""
    cells = np.linspace(0, side, len(mass) + 1)
    until = np.interp(np.arange(side + 1), cells, np.concatenate([[0.0], np.cumsum(mass)]))
    inside = until[length:] - until[: side + 1 - length]
    best = np.flatnonzero(inside >= inside.max() - 1e-9)
    return int(best[np.argmin(np.abs(best - (side - length) / 2))])


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


def map_retention(
    density: NDArray[np.float32], human: NDArray[np.float32], ratio: float
) -> Retention:
    """The same, as shares of the mass of the humans' map [height, width], which sums to 1."""
    size = (human.shape[1], human.shape[0])
    windows = (
        mass_window(density, size, ratio),
        centre_window(size, ratio),
        heaviest_window(human, size, ratio),
    )
    return Retention(*(mass_inside(human, window) for window in windows))


def mass_inside(human: NDArray[np.float32], window: Window) -> float:
    """The sum of a map [height, width] inside a window."""
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    return float(human[rows, columns].sum(dtype=float))


def gap_closed(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(kept − centred) / (best − centred), of means over photos [..., 3] in `Retention`'s order.

    0 is a centred crop, 1 the best possible, less than 0 harm; NaN where the centred crop is
    already the best.
    """
    kept_, centred, best = np.moveaxis(means, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(best > centred, (kept_ - centred) / (best - centred), np.nan))
