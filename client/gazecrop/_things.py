"""The things in a photo that a cut spoils, heads and lines of text, and how a window cuts them.

The map of integrity says of each cell how much of it belongs to such a thing. Neighbours often
touch, so a thing is a hill of the map: the cells from which the steepest way up ends on the same
top. It is cut if a tenth of it or more lies on either side.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecrop._geometry import Rect, Size
from gazecrop._window import covered

LEAST = 0.2  # of a cell, to count among a thing's
TOP = 0.4  # of the fullest of a thing's cells
FALL = 1e-6  # of a flat top, from the map's first cell to its last
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
        has_thing = np.zeros(integrity.size, bool)
        has_thing[tops[thing]] = True
        self.count = int(has_thing.sum())
        numbers = has_thing.cumsum() - 1
        self.labels = np.where(thing, numbers[tops], self.count)
        self._wholes = self._sums(integrity)

    def cut(self, density: NDArray[np.float32], size: Size, rect: Rect) -> tuple[Cut, ...]:
        """What a window cuts, most attention first."""
        inside = covered(density.shape, size, rect)
        shares = self._sums(self.integrity * inside) / self._wholes
        halved = np.flatnonzero((shares >= UNCUT) & (shares <= 1 - UNCUT))
        if not len(halved):
            return ()
        attention = self._sums(density * inside)
        cuts = (Cut(self._box(i, size), float(shares[i]), float(attention[i])) for i in halved)
        return tuple(sorted(cuts, key=lambda cut: -cut.attention))

    def _sums(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """How much of the weights [h, w] each thing has, [count]."""
        sums = np.bincount(self.labels.ravel(), weights.ravel(), self.count + 1)[: self.count]
        return np.asarray(sums, np.float64)

    def _box(self, label: int, size: Size) -> Rect:
        height, width = self.labels.shape
        cells = self.labels == label
        rows, columns = cells.any(axis=1).nonzero()[0], cells.any(axis=0).nonzero()[0]
        left, top = columns[0] * size[0] / width, rows[0] * size[1] / height
        right, bottom = (columns[-1] + 1) * size[0] / width, (rows[-1] + 1) * size[1] / height
        left, top = math.floor(left), math.floor(top)
        return Rect(left, top, math.ceil(right) - left, math.ceil(bottom) - top)


def _tops(heights: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each cell of [h, w], the flat index of the top that the steepest way up leads to.

    Cells below `LEAST`, which no thing has, count as tops. A flat top counts as falling a little
    from its first cell on, so that it is one.
    """
    rows, columns = heights.shape
    padded = np.full((rows + 2, columns + 2), -1.0)
    padded[1:-1, 1:-1] = heights - FALL * np.linspace(0, 1, heights.size).reshape(rows, columns)
    down, across = np.nonzero(heights >= LEAST - FALL)  # no way up from `LEAST` leaves these
    steps = [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    in_padded = np.array([y * (columns + 2) + x for y, x in steps])
    here = (down + 1) * (columns + 2) + across + 1
    steepest = padded.ravel()[here[:, None] + in_padded].argmax(axis=1)
    leads_to = np.arange(rows * columns)
    leads_to[down * columns + across] += np.array([y * columns + x for y, x in steps])[steepest]
    while ((further := leads_to[leads_to]) != leads_to).any():
        leads_to = further
    return leads_to.reshape(rows, columns)
