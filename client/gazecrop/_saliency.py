"""A prediction: where in a photo people will look."""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gazecrop._crop import Crop, Ratio, best_window, parse_ratio
from gazecrop._errors import InvalidArgument


@dataclass(frozen=True, eq=False)
class Saliency:
    """A saliency map with the size of its photo. Needs no server.

    Attributes:
        density: float32 [h, w], the probability that gaze falls into each cell of a grid
            over the whole upright photo; sums to 1.
        size: (width, height) of the upright photo in pixels.

    Raises:
        InvalidArgument: `density` is no map of finite values ≥ 0 with a positive sum, or
            `size` is not two positive whole numbers.
    """

    density: NDArray[np.float32]
    size: tuple[int, int]

    def __init__(self, density: ArrayLike, size: tuple[int, int]) -> None:
        object.__setattr__(self, "density", _normalised(density))
        object.__setattr__(self, "size", _whole(size))

    @property
    def salient_point(self) -> tuple[int, int]:
        """(x, y) in pixels: the centre of the cell that draws most attention."""
        rows, columns = self.density.shape
        row, column = np.unravel_index(int(self.density.argmax()), self.density.shape)
        width, height = self.size
        return int((column + 0.5) * width / columns), int((row + 0.5) * height / rows)

    def crop(self, ratio: Ratio) -> Crop:
        """The largest window of an aspect ratio that keeps the most predicted attention.

        Args:
            ratio: width to height, as "16:9", 1.78 or (1200, 675).

        Raises:
            InvalidArgument: this is no aspect ratio.
        """
        return best_window(self.density, self.size, parse_ratio(ratio))


def _normalised(density: ArrayLike) -> NDArray[np.float32]:
    values = np.asarray(density, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any():
        raise InvalidArgument("a density is a 2-d array of finite values ≥ 0")
    if not values.sum() > 0:
        raise InvalidArgument("a density needs a positive sum")
    return (values / values.sum()).astype(np.float32)


def _whole(size: tuple[int, int]) -> tuple[int, int]:
    try:
        width, height = (operator.index(side) for side in size)
        if width < 1 or height < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise InvalidArgument(f"a size is (width, height) in whole pixels, not {size!r}") from None
    return width, height
