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
        lambda wanted_height, wanted_width: _decode(
            data, (width, height), wanted_height, wanted_width
        ),
        memory=round(PIXEL * width * height),
    )


def _decode(data: bytes, size: tuple[int, int], height: int, width: int) -> Pixels:
    def load(fail_on: str) -> Any:
        image = pyvips.Image.gifload_buffer(data, access="sequential", fail_on=fail_on)
        if (image.width, image.height) != size:
            raise ValueError("a frame is larger than the screen that is declared")
        return image

    try:
        return shrinking.shrunk(load("error"), height, width)
    except pyvips.Error:
        image = load("none")
        colours, alpha = shrinking.reduced(image, height, width)
        if alpha is not None:  # what is missing is transparent, every second row if interlaced
            there = load("none").extract_band(image.bands - 1).numpy().any(axis=1)
            shrinking.check_rows(np.count_nonzero(there), len(there))
            missing = ~alpha.any(axis=1)
            colours[missing], alpha[missing] = shrinking.LOST, 255
        return shrinking.flattened(colours, alpha)
