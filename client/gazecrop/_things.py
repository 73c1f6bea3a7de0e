"""The things in a photo that a cut spoils, heads and lines of text, and how a window cuts them.

The map of integrity says of each cell how much of it belongs to such a thing. Neighbours often
touch, so a thing is a hill of the map: the cells from which the steepest way up ends on the same
top. It is cut if a tenth of it or more lies on either side.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gazecrop._geometry import Rect, Size
from gazecrop._window import covered

LEAST = 0.2  # of a cell, to count among a thing's
TOP = 0.4  # of the fullest of a thing's cells
UNCUT = 0.1  # of a thing: what may lie beyond an edge


@dataclass(frozen=True)
class Cut:
    """A thing that a window cuts: a head, a line of text.

    Attributes:
        box: around it, in pixels of the upright photo, as exactly as the map's cells tell.
        inside: the share of it in the window.
        attention: the share of the photo's predicted attention on what is inside.
    """

    box: Rect
    inside: float
    attention: float

    def to_dict(self) -> dict[str, float]:
        """The same in the types of JSON."""
        shares = {"inside": round(self.inside, 4), "attention": round(self.attention, 4)}
        return {**self.box._asdict(), **shares}


class Things:
    """The things on a map of integrity [h, w].

    Attributes:
        labels: [h, w], which of `count` things a cell belongs to; `count` for none.
    """

    def __init__(self, integrity: NDArray[np.float32]) -> None:
        self.integrity = integrity
        tops = _tops(integrity)
        thing = (integrity >= LEAST) & (integrity.ravel()[tops] >= TOP)
        numbers, labels = np.unique(np.where(thing, tops, integrity.size), return_inverse=True)
        self.count = len(numbers) - bool(numbers[-1] == integrity.size)
        self.labels = labels.reshape(integrity.shape)

    def cut(self, density: NDArray[np.float32], size: Size, rect: Rect) -> tuple[Cut, ...]:
        """What a window cuts, most attention first."""
        inside = covered(density.shape, size, rect)
        wholes, parts, attention = (
            np.bincount(self.labels.ravel(), weights.ravel(), self.count + 1)[: self.count]
            for weights in (self.integrity, self.integrity * inside, density * inside)
        )
        shares = parts / wholes
        halved = np.flatnonzero((shares >= UNCUT) & (shares <= 1 - UNCUT))
        cuts = (Cut(self._box(i, size), float(shares[i]), float(attention[i])) for i in halved)
        return tuple(sorted(cuts, key=lambda cut: -cut.attention))

    def _box(self, label: int, size: Size) -> Rect:
        rows, columns = (self.labels == label).nonzero()
        height, width = self.labels.shape
        left, top = columns.min() * size[0] / width, rows.min() * size[1] / height
        right = (columns.max() + 1) * size[0] / width
        bottom = (rows.max() + 1) * size[1] / height
        left, top = math.floor(left), math.floor(top)
        return Rect(left, top, math.ceil(right) - left, math.ceil(bottom) - top)


def _tops(heights: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each cell of [h, w], the flat index of the top that the steepest way up leads to.

    A flat top counts as falling a little from its first cell on, so that it is one.
    """
    rows, columns = heights.shape
    flat_falls = heights - 1e-6 * np.linspace(0, 1, heights.size).reshape(rows, columns)
    padded = np.pad(flat_falls, 1, constant_values=-1)
    steps = [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    around = [padded[1 + y : 1 + y + rows, 1 + x : 1 + x + columns] for y, x in steps]
    ahead = np.array([y * columns + x for y, x in steps])[np.argmax(around, axis=0)]
    leads_to = np.arange(rows * columns) + ahead.ravel()
    while not np.array_equal(further := leads_to[leads_to], leads_to):
        leads_to = further
    return np.asarray(leads_to.reshape(rows, columns))
