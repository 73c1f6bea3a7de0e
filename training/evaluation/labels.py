"""Where a thing is in a photo, as someone or something labelled it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Label:
    box: NDArray[np.float64]  # left, top, right, bottom as shares of the photo
    view: str = ""  # frontal, profile or back of a head; a line's contrast
