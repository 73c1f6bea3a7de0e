"""Sizes, shapes and rectangles. Coordinates are pixels of the upright photo."""

import math
import operator
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from gazecrop._errors import InvalidArgument

Size: TypeAlias = tuple[int, int]  # width, height
Ratio: TypeAlias = str | float | tuple[float, float]
Point: TypeAlias = tuple[float, float]  # x, y
Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height; a Rect is one


class Rect(NamedTuple):
    """A rectangle inside a photo, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


def parse_ratio(ratio: Ratio) -> float:
    """Width over height of "16:9", 1.78 or (1200, 675).

    Raises:
        InvalidArgument: it is none of these, or not positive.
    """
    try:
        if isinstance(ratio, str):
            width, _, height = ratio.partition(":")
            value = float(width) / float(height or 1)
        elif isinstance(ratio, tuple):
            value = float(ratio[0]) / float(ratio[1])
            if len(ratio) > 2:
                raise ValueError
        else:
            value = float(ratio)
        if not (math.isfinite(value) and value > 0):
            raise ValueError
    except (ValueError, TypeError, ZeroDivisionError, IndexError, OverflowError):
        raise InvalidArgument(
            f"an aspect ratio is like '16:9', 1.78 or (1200, 675), not {ratio!r}"
        ) from None
    return value


def parse_size(size: Sequence[int]) -> Size:
    """Two positive whole numbers.

    Raises:
        InvalidArgument: it is something else.
    """
    try:
        width, height = (operator.index(side) for side in size)
        if width < 1 or height < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise InvalidArgument(f"a size is (width, height) in whole pixels, not {size!r}") from None
    return width, height


def parse_box(name: str, box: Point | Box, size: Size) -> Box:
    """The part of a box, or of a point as a box without extent, that lies in the photo.

    Raises:
        InvalidArgument: it is no box of finite numbers, or no part of it lies in the photo.
    """
    try:
        left, top, width, height = map(float, (*box, 0, 0) if len(box) == 2 else box)
    except (TypeError, ValueError):
        left = top = width = height = math.nan
    if not (math.isfinite(left + top + width + height) and width >= 0 and height >= 0):
        raise InvalidArgument(f"{name} is (left, top, width, height) or (x, y), not {box!r}")
    right, bottom = min(left + width, size[0]), min(top + height, size[1])
    left, top = max(left, 0.0), max(top, 0.0)
    if right < left or bottom < top:
        raise InvalidArgument(
            f"{name} {box!r} lies outside the photo of {size[0]}×{size[1]} pixels"
        )
    return left, top, right - left, bottom - top


def window_size(size: Size, ratio: float, zoom: float = 1.0) -> Size:
    """The largest (width, height) of this ratio inside a photo, over the zoom.

    The side that decides is rounded first, the other follows it, each to the nearest pixel.
    """
    width, height = size
    if width > height * ratio:
        height = max(1, round(height / zoom))
        return min(width, max(1, round(height * ratio))), height
    width = max(1, round(width / zoom))
    return width, min(height, max(1, round(width / ratio)))
