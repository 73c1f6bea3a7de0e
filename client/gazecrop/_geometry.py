"""Sizes, shapes and rectangles. Coordinates are pixels of the upright photo."""

import math
import operator
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeAlias

from gazecrop._errors import InvalidArgument

Size: TypeAlias = tuple[int, int]  # width, height
Ratio: TypeAlias = str | float | tuple[float, float]
Point: TypeAlias = tuple[float, float]  # x, y
Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height; a Rect is one

MAX_RATIO = 100.0


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
    """Width over height of "16:9", "16x9", 1.78, (1200, 675) or [16, 9].

    Raises:
        InvalidArgument: it is none of these, or no picture has it: one side is more than a hundred
            times the other.
    """
    try:
        value = _quotient(ratio)
        if not 1 / MAX_RATIO <= value <= MAX_RATIO:
            raise ValueError
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        raise InvalidArgument(
            f"an aspect ratio is like '16:9', 1.78 or (1200, 675), not {ratio!r}"
        ) from None
    return value


def parse_ratios(ratios: Ratio | Iterable[Ratio]) -> tuple[list[float], bool]:
    """Aspect ratios, and whether one was given in place of a list of them.

    Two numbers are one ratio: as a tuple, or whole ones as the list that JSON makes of it.

    Raises:
        InvalidArgument: one of them is none.
    """
    if isinstance(ratios, str | Real | Decimal) or (
        isinstance(ratios, tuple) and len(ratios) == 2 and _are(Real | Decimal, ratios)
    ):
        return [parse_ratio(ratios)], True  # type: ignore[arg-type]
    try:
        given: list[Any] = list(ratios)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidArgument(f"ratios are a list like ['16:9', '1:1'], not {ratios!r}") from None
    if len(given) == 2 and _are(Integral, given):
        return [parse_ratio((given[0], given[1]))], False
    return [parse_ratio(ratio) for ratio in given], False


def parse_number(name: str, value: float, least: float, most: float = math.inf) -> float:
    """A finite number within bounds.

    Raises:
        InvalidArgument: it is something else.
    """
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (least <= number <= most and math.isfinite(number)):
        bounds = f"from {least} to {most}" if math.isfinite(most) else f"of at least {least}"
        raise InvalidArgument(f"{name} is a number {bounds}, not {value!r}")
    return number


def parse_count(name: str, count: int, least: int = 1) -> int:
    """A whole number of something.

    Raises:
        InvalidArgument: it is something else, or less than the least.
    """
    try:
        number = operator.index(count)
    except TypeError:
        number = least - 1
    if number < least:
        raise InvalidArgument(f"{name} is a whole number of at least {least}, not {count!r}")
    return number


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


def _quotient(ratio: Ratio | Sequence[float]) -> float:
    if isinstance(ratio, str):
        if re.fullmatch(r"\s*\d\d+\s*", ratio):
            raise ValueError  # "43" was meant to be "4:3"
        sides: Sequence[Any] = re.split("[:x×/]", ratio.lower())
        width, height = sides if len(sides) > 1 else (*sides, 1)
    else:
        width, height = (ratio, 1) if isinstance(ratio, float | Real | Decimal) else ratio
    if isinstance(ratio, bool) or not float(width) > 0:
        raise ValueError
    return float(width) / float(height)


def _are(kind: Any, values: Iterable[object]) -> bool:
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)


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
