"""From a photo and its prediction to finished thumbnails: files of a size, for a web page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from PIL import Image

from gazecrop._colour import mixable, parse_colour
from gazecrop._copyright import copyright_of
from gazecrop._crop import MAX_PIXELS, Crop, cut_out, decoded_whole, padded
from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Box, Point, Size, parse_size
from gazecrop._saliency import CropOptions, Cutter, Saliency
from gazecrop._save import encode, parse_format, parse_quality
from gazecrop._source import Photo

ThumbnailSize: TypeAlias = str | Size  # "400x300" or (400, 300)


class ThumbnailOptions(CropOptions, total=False):
    """What a caller may ask of thumbnails, besides what `CropOptions` lists.

    format: "jpeg", "png", "webp" or "avif"; by default JPEG, or PNG for a transparent photo.
    quality: 1 to 100; by default 92, of WebP 90, of AVIF 80.
    focus_fraction: the focus as fractions of the photo's width and height, a point (0.5, 0.3) or
        a box (left, top, width, height), in the place of `focus` in pixels.
    min_size: "200x150" or (200, 150), up to which a photo with fewer pixels is enlarged. No photo
        is enlarged beyond it: what has fewer pixels than asked for stays smaller.
    pad: show the whole photo on a canvas where a crop would lose too much, as `Crop.advice` says.
    colour: of this canvas, as Pillow names colours; white by default.
    keep_copyright: write who made the photo and whose it is, as its EXIF, IPTC or XMP tells.
    """

    format: str | None
    quality: int | None
    focus_fraction: Point | Box | None
    min_size: ThumbnailSize | None
    pad: bool
    colour: str
    keep_copyright: bool


class Thumbnails:
    """The thumbnails that a call asks for, checked before anything is sent.

    Raises:
        InvalidArgument: a size, or an option, makes no sense for any photo.
    """

    def __init__(
        self, sizes: ThumbnailSize | Iterable[ThumbnailSize], options: ThumbnailOptions
    ) -> None:
        self._one = isinstance(sizes, str) or _is_pair(sizes)
        given: Iterable[Any] = [sizes] if self._one else _listed(sizes)
        self._sizes = [parse_thumbnail_size(size) for size in given]
        asked: dict[str, Any] = dict(options)
        format, quality, least, fraction = (
            asked.pop(name, None) for name in ("format", "quality", "min_size", "focus_fraction")
        )
        self._format = None if format is None else parse_format(format)
        self._quality = None if quality is None else parse_quality(quality)
        self._least = (0, 0) if least is None else parse_thumbnail_size(least)
        self._fraction = _parse_fraction(fraction, asked.get("focus"))
        self._colour = parse_colour(asked.pop("colour", "white"))
        self._pad, self._keep_copyright = (
            asked.pop("pad", False),
            asked.pop("keep_copyright", False),
        )
        self._options: CropOptions = asked  # type: ignore[assignment]
        Cutter(self._sizes, self._options)  # checks them

    def __call__(self, photo: Photo, saliency: Saliency) -> bytes | list[bytes]:
        """The files, out of one decoded picture: a list, or the one where one was asked for."""
        plans = [self._plan(saliency, size) for size in self._sizes]
        reduction = min((plan.reduction for plan in plans), default=1.0)
        whole = mixable(decoded_whole(photo, saliency.size, reduction))
        exif = copyright_of(photo) if self._keep_copyright else b""
        files = [self._file(whole, plan, exif) for plan in plans]
        return files[0] if self._one else files

    def _plan(self, saliency: Saliency, size: Size) -> _Plan:
        options = self._options
        if self._fraction:
            across, down = saliency.size
            sides = (across, down, across, down)
            focus = tuple(part * side for part, side in zip(self._fraction, sides, strict=False))
            options = {**options, "focus": focus}  # type: ignore[typeddict-item]
        crop = saliency.crop(size, **options)
        pad = self._pad and crop.advice == "pad"
        full = crop.padding.size if pad else (crop.rect.width, crop.rect.height)
        pixels = _without_enlarging(full, size, self._least)
        return _Plan(crop, pad, pixels, min(full[0] / pixels[0], full[1] / pixels[1]))

    def _file(self, whole: Image.Image, plan: _Plan, exif: bytes) -> bytes:
        if plan.pad:
            picture = padded(whole, plan.crop, plan.pixels, self._colour)
        else:
            picture = cut_out(whole, plan.crop, plan.pixels)
        return encode(picture, self._format, self._quality, exif)[0]


@dataclass(frozen=True)
class _Plan:
    """How to make one thumbnail: a crop, cut or padded, in so many pixels."""

    crop: Crop
    pad: bool
    pixels: Size
    reduction: float  # from the photo's pixels


def parse_thumbnail_size(size: ThumbnailSize) -> Size:
    """The (width, height) of "400x300" or (400, 300).

    Raises:
        InvalidArgument: it is neither, or has too many pixels.
    """
    if isinstance(size, str):
        width, _, height = size.lower().replace("×", "x").partition("x")
        if not (width.strip().isdecimal() and height.strip().isdecimal()):
            raise InvalidArgument(f"a size is like '400x300' or (400, 300), not {size!r}")
        size = int(width), int(height)
    width_and_height = parse_size(size)
    if math.prod(width_and_height) > MAX_PIXELS:
        raise InvalidArgument(f"a thumbnail of {size[0]}×{size[1]} pixels is too large")
    return width_and_height


def _without_enlarging(full: Size, asked: Size, least: Size) -> Size:
    """The asked size, or what there is of it in the photo, at least the least if that is less."""
    scale = min(1.0, full[0] / asked[0], full[1] / asked[1])
    needed = max(least[0] / asked[0], least[1] / asked[1])
    scale = min(1.0, max(scale, needed))
    return max(1, round(asked[0] * scale)), max(1, round(asked[1] * scale))


def _parse_fraction(fraction: Point | Box | None, focus: object) -> Point | Box | None:
    if fraction is None:
        return None
    if focus is not None:
        raise InvalidArgument("focus is in pixels, focus_fraction in fractions: give one of them")
    try:
        left, top, width, height = (*map(float, fraction), 0.0, 0.0)[:4]
        right, bottom = left + width, top + height
        sound = len(fraction) in (2, 4) and min(left, top, width, height) >= 0
    except (TypeError, ValueError):
        sound, right, bottom = False, math.nan, math.nan
    if not (sound and right <= 1 and bottom <= 1):
        raise InvalidArgument(
            "focus_fraction is (x, y) or (left, top, width, height) as fractions of the photo's "
            f"sides, from 0 to 1, not {fraction!r}"
        )
    return fraction


def _listed(sizes: object) -> list[Any]:
    try:
        return list(sizes)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidArgument(f"sizes are a list like ['400x300'], not {sizes!r}") from None


def _is_pair(sizes: object) -> bool:
    return (
        isinstance(sizes, Sequence)
        and len(sizes) == 2
        and not any(isinstance(side, str | Sequence) for side in sizes)
    )
