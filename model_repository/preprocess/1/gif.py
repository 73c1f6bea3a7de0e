"""GIF: its first frame."""

from typing import Any

import numpy as np
import pyvips
import shrinking
from source import Pixels, Source, Unusable

SIGNATURES = (b"GIF87a", b"GIF89a")
PIXEL = 4.3  # bytes that decoding holds


def read(data: bytes) -> Source:
    """Read a GIF's header.

    Raises:
        Unusable: it is cut off, or empty.
    """
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    if not width or not height:
        raise Unusable("read: the GIF's header is damaged", "damaged", "GIF")
    return Source(
        "GIF",
        (width, height),
        lambda height, width: _decode(data, height, width),
        memory=round(PIXEL * width * height),
    )


def _decode(data: bytes, height: int, width: int) -> Pixels:
    def load(fail_on: str) -> Any:
        return pyvips.Image.gifload_buffer(data, access="sequential", fail_on=fail_on)

    try:
        return shrinking.shrunk(load("error"), height, width)
    except pyvips.Error:
        colours, alpha = shrinking.reduced(load("none"), height, width)
        if alpha is not None:  # what is missing is transparent
            found = np.flatnonzero(alpha.any(axis=1))
            rows = int(found[-1]) + 1 if found.size else 0
            shrinking.check_rows(rows, len(alpha))
            colours[rows:], alpha[rows:] = shrinking.LOST, 255
        return shrinking.flattened(colours, alpha)
