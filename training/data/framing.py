"""How a photo of any shape becomes the network's one input shape.

All requests can batch with each other only if their tensors have one shape, so every photo
goes onto one square canvas. Squashing it to fill the square distorts a 1:2 or 3:1 photo
beyond recognition; letterboxing it without distortion leaves a quarter of the canvas, and
of the computing, unused for the commonest shape, 4:3. So a photo is stretched, but by
`MAX_SQUASH` at most, and centred on a neutral canvas: 3:4 to 4:3 fill the square, only
longer shapes leave a margin.

NSS of the alternatives, by shape (OSIE's validation photos, `training.experiments.framings`):

                    whole (4:3)   cut to 1:2   cut to 3:1
    letterbox          3.20          2.47         2.21
    squash ≤ 4:3       3.35          2.55         2.41
    squash ≤ 2         3.35          2.42         2.40
    full squash        3.35          2.42         2.14
    own shape          3.34          2.62         2.50    does not batch

A few shapes to choose from would gain the last row's tenth on long photos, rare as they
are, and split every queue of requests.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_SQUASH = 4 / 3
NEUTRAL = 128  # the student's zero: pixels enter it as x / 127.5 − 1
CELL = 16  # the sides of the framed photo are multiples of the network's coarsest stride


def extent_on_canvas(
    width: int, height: int, canvas: int, max_squash: float = MAX_SQUASH
) -> tuple[int, int]:
    """Height and width in pixels that a photo of this size takes on the canvas."""
    longest = max(width, height)

    def fit(side: int) -> int:
        return max(CELL, round(canvas * min(1, max_squash * side / longest) / CELL) * CELL)

    return fit(height), fit(width)


def frame(
    photo: NDArray[np.uint8], canvas: int, max_squash: float = MAX_SQUASH
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """An RGB photo [h, w, 3] → pixels [canvas, canvas, 3] and its extent [height, width] there."""
    height, width = extent_on_canvas(photo.shape[1], photo.shape[0], canvas, max_squash)
    top, left = (canvas - height) // 2, (canvas - width) // 2
    pixels = np.full((canvas, canvas, 3), NEUTRAL, np.uint8)
    pixels[top : top + height, left : left + width] = resize(photo, width, height)
    return pixels, np.array([height, width], np.int32)


def resize(photo: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Averages over areas where the photo shrinks and interpolates where it grows."""
    smaller = (min(width, photo.shape[1]), min(height, photo.shape[0]))
    shrunk = cv2.resize(photo, smaller, interpolation=cv2.INTER_AREA)
    resized = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
