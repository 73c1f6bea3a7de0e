"""From heads and lines of text to maps: how much of each cell belongs to one of them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.detectors.heads import Head
from training.detectors.text import Line

FINE = 4  # cells are covered in so many steps along each side
SHIFT = 4  # OpenCV draws at 1/16 of a pixel
CHARACTERS = (0.15, 0.55)  # CRAFT's scores that mean surely none, surely some


def head_map(heads: list[Head], size: tuple[int, int], grid: int) -> NDArray[np.float32]:
    """The share of each cell that heads cover, times how sure they are: [grid, grid], 0–1.

    Args:
        size: width and height of the photo, in pixels of the heads' boxes.
    """
    fine = np.zeros((grid * FINE, grid * FINE), np.float32)
    scale = grid * FINE / np.array([*size, *size])
    for head in sorted(heads, key=lambda head: head.score):
        left, top, right, bottom = head.box * scale
        centre = _fixed_point((left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5)
        axes = _fixed_point((right - left) / 2, (bottom - top) / 2)
        cv2.ellipse(fine, centre, axes, 0, 0, 360, [head.score], cv2.FILLED, shift=SHIFT)
    return _coarse(fine, grid)


def text_map(lines: list[Line], size: tuple[int, int], grid: int) -> NDArray[np.float32]:
    """The same for lines of text."""
    fine = np.zeros((grid * FINE, grid * FINE), np.float32)
    scale = grid * FINE / np.array(size)
    for line in sorted(lines, key=lambda line: line.score):
        corners = np.round((line.outline * scale - 0.5) * 2**SHIFT).astype(np.int32)
        none, some = CHARACTERS
        sure = float(np.clip((line.score - none) / (some - none), 0, 1))
        cv2.fillPoly(fine, [corners], [sure], shift=SHIFT)
    return _coarse(fine, grid)


def _fixed_point(x: float, y: float) -> tuple[int, int]:
    return round(x * 2**SHIFT), round(y * 2**SHIFT)


def _coarse(fine: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    return fine.reshape(grid, FINE, grid, FINE).mean((1, 3))
