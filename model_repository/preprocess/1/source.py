"""A photo's file whose header was read and whose pixels were not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Unusable(Exception):
    """The upload is no photo that can be predicted; the message names the step and the reason.

    Attributes:
        reason: in few words, the same for all such uploads.
        format: of the upload, as far as it is known.
    """

    def __init__(self, message: str, reason: str, format: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.format = format or "unknown"


@dataclass(frozen=True)
class Source:
    """What a file's header says of its pixels, and how to have them.

    Attributes:
        format: of the file.
        size: width and height as stored.
        decode: from a height and width to RGB [h, w, 3] as stored, shrunk by averaging but not
            below these. Where the file is damaged it raises anything.
        orientation: in which it is stored, as EXIF numbers it: 1 to 8, and 1 is upright.
        memory: bytes that decoding holds at once, beyond some rows.
        work: bytes of pixels that are decoded, all passes over them counted.
    """

    format: str
    size: tuple[int, int]
    decode: Callable[[int, int], Pixels]
    orientation: int = 1
    memory: int = 0
    work: int = 0
