"""How well a predicted density agrees with where people looked."""

import cv2
import numpy as np
from numpy.typing import NDArray


def on_photo(density: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A density [h, w] interpolated to a photo's pixels, [height, width]; not normalised."""
    return np.asarray(
        cv2.resize(density, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def nss(saliency_map: NDArray[np.float32], fixations: NDArray[np.float32]) -> float:
    """Normalised scanpath saliency: the map's mean z-score at the fixations (Peters et al., 2005).

    Args:
        saliency_map: [height, width], a value for each pixel of the photo.
        fixations: [n, 2], x and y in pixels.

    A constant map has no z-scores; it says nothing, so it gets 0.
    """
    spread = float(saliency_map.std())
    if spread == 0:
        return 0.0
    column, row = fixations.astype(int).T
    return float((saliency_map[row, column].mean() - saliency_map.mean()) / spread)
