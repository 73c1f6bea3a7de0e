"""How an upload ended, held against what the server made of it while it was left alone."""

from typing import NamedTuple, TypeAlias

import numpy as np
from gazecrop import ImageRejected, Saliency

SAME = 0.01  # sum of absolute differences of two maps; of quite different ones it is 2

ANSWERED, REFUSED, WRONG, LOST = "answered", "refused", "wrong", "lost"

Outcome: TypeAlias = Saliency | Exception


class Upload(NamedTuple):
    """A file, and its prediction or refusal."""

    data: bytes
    expected: Outcome


class Ending(NamedTuple):
    """When an upload was due, when it ended, in seconds since the start, and how."""

    due: float
    end: float
    how: str

    @property
    def is_right(self) -> bool:
        return self.how in (ANSWERED, REFUSED)


def verdict(expected: Outcome, got: Outcome | None) -> str:
    """`ANSWERED` and `REFUSED` rightly, `WRONG`, `LOST` (nothing came), or the error's name."""
    if got is None:
        return LOST
    if isinstance(got, ImageRejected):
        return REFUSED if isinstance(expected, ImageRejected) else WRONG
    if isinstance(got, Exception):
        return type(got).__name__
    if isinstance(expected, Exception) or got.size != expected.size:
        return WRONG
    return ANSWERED if np.abs(got.density - expected.density).sum() <= SAME else WRONG
