"""A chosen window: cut it out, or pad the photo instead."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from gazecrop._colour import RGBA, blank, in_known_range, mixable, parse_colour, resized, shown
from gazecrop._copyright import copyright_of
from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Rect, Size, parse_size
from gazecrop._photo import decoded
from gazecrop._picture import Picture
from gazecrop._save import encode, format_of, write
from gazecrop._source import Photo
from gazecrop._things import Cut

MAX_PIXELS = 64_000_000


@dataclass(frozen=True)
class Padding:
    """The smallest canvas of the wanted shape that holds the whole photo, in its middle."""

    size: Size  # (width, height) of the canvas, in pixels of the photo
    left: int  # where on it the photo starts
    top: int


@dataclass(frozen=True)
class Crop:
    """A chosen window.

    Attributes:
        rect: the window, in pixels of the upright photo.
        kept: the share of the predicted attention inside it.
        size: (width, height) of the upright photo that it was chosen for.
        ratio: the wanted width over height.
        min_kept: below it, `advice` is not to crop.
        cuts: the heads and lines of text that its edges cut, most attention first; None where
            the server does not tell.
    """

    rect: Rect
    kept: float
    size: Size
    ratio: float
    min_kept: float
    cuts: tuple[Cut, ...] | None = None

    def __iter__(self) -> Iterator["Crop"]:
        """The crop itself: one ratio gives a crop, which may stand where a list of them is read."""
        yield self

    @property
    def advice(self) -> Literal["crop", "pad"]:
        """ "pad" if the crop loses so much that the photo should rather be shown whole.

        The attention on what is cut is lost, too: half a face is no face.
        """
        spoilt = sum(cut.attention for cut in self.cuts or ())
        return "crop" if self.kept - spoilt >= self.min_kept else "pad"

    def to_dict(self) -> dict[str, Any]:
        """What there is to tell of it, in the types of JSON.

        Returns:
            left, top, width, height in pixels; kept; advice; and, unless that is not known, cuts:
            a list of left, top, width, height, inside, attention.
        """
        description: dict[str, Any] = {
            **self.rect._asdict(),
            "kept": round(self.kept, 4),
            "advice": self.advice,
        }
        if self.cuts is not None:
            description["cuts"] = [cut.to_dict() for cut in self.cuts]
        return description

    @property
    def padding(self) -> Padding:
        """How to show the whole photo in the wanted shape."""
        width, height = self.size
        canvas = max(width, round(height * self.ratio)), max(height, round(width / self.ratio))
        return Padding(canvas, (canvas[0] - width) // 2, (canvas[1] - height) // 2)

    def apply(self, photo: Photo, size: Size | None = None) -> Picture:
        """Cut the window out of the photo, turned upright first.

        Args:
            photo: the one that was predicted.
            size: (width, height) in pixels to resize the cut to, larger or smaller; by
                default it stays as it is. A JPEG is then decoded no larger than it needs.

        Returns:
            A PIL image of mode L, LA, RGB or RGBA. An RGB photo keeps its colour profile, which
            `save` writes; the colours of others become sRGB. No other metadata is left.

        Raises:
            gazecrop.InvalidArgument: the photo cannot be decoded or is not the one predicted,
                or the size has another aspect ratio than the crop.
        """
        if size is None:
            rect = self.rect
            image = decoded_whole(photo, self.size)
            return shown(mixable(image.crop((rect.left, rect.top, rect.right, rect.bottom))))
        target = self._target(size)
        return cut_out(decoded_whole(photo, self.size, self.reduction(target)), self, target)

    def pad(self, photo: Photo, size: Size | None = None, colour: str = "white") -> Picture:
        """The whole photo, upright, in the middle of a canvas of the wanted shape.

        Args:
            photo: the one that was predicted.
            size: (width, height) of the canvas; by default the photo keeps its pixels.
            colour: of the rest, as Pillow names colours; "#0000" is transparent.

        Returns:
            A picture as `apply` gives it.

        Raises:
            gazecrop.InvalidArgument: as `apply`; also, there is no such colour, or the canvas
                would have more than 64 million pixels.
        """
        canvas = self.padding.size if size is None else self._target(size)
        filling = parse_colour(colour)
        if canvas[0] * canvas[1] > MAX_PIXELS:
            raise InvalidArgument(
                f"a canvas of {canvas[0]}×{canvas[1]} pixels is too large; give a smaller size"
            )
        reduction = self.padding.size[0] / canvas[0]
        return padded(decoded_whole(photo, self.size, reduction), self, canvas, filling)

    def save(
        self,
        photo: Photo,
        path: str | os.PathLike[str],
        size: Size | None = None,
        *,
        quality: int | None = None,
        keep_copyright: bool = False,
    ) -> None:
        """Write what `apply` gives to a file: whole, or not at all.

        Args:
            photo, size: as for `apply`.
            path: where to. The suffix tells the format: JPEG, PNG, WebP or AVIF. A transparent
                photo as JPEG stands on white.
            quality: 1 to 100; by default 92, of WebP 90, of AVIF 80. PNG has none.
            keep_copyright: write who made the photo and whose it is, as its EXIF, IPTC or XMP
                tells; all else, comments and places among it, stays out.

        Raises:
            gazecrop.InvalidArgument: as `apply`; also, no such format or quality, or the file
                cannot be written.
        """
        target = Path(path)
        format = format_of(target)
        exif = copyright_of(photo) if keep_copyright else b""
        write(encode(self.apply(photo, size), format, quality, exif)[0], target)

    def reduction(self, target: Size) -> float:
        """How many times larger the window is than a picture of it."""
        return min(self.rect.width / target[0], self.rect.height / target[1])

    def _target(self, size: Size) -> Size:
        width, height = parse_size(size)
        if abs(width - height * self.ratio) > 1 and abs(height - width / self.ratio) > 1:
            raise InvalidArgument(
                f"{width}×{height} pixels have the aspect ratio {width / height:.4g}, "
                f"this crop has {self.ratio:.4g}"
            )
        return width, height


def decoded_whole(photo: Photo, size: Size, reduction: float = 1.0) -> Image.Image:
    """The upright picture of a photo that has this (width, height), perhaps in a smaller copy.

    Raises:
        InvalidArgument: it cannot be decoded, or has another size.
    """
    image, told = decoded(photo, reduction)
    if told != size:
        raise InvalidArgument(
            f"this crop belongs to a photo of {size[0]}×{size[1]} pixels, not {told[0]}×{told[1]}"
        )
    return in_known_range(image)


def cut_out(whole: Image.Image, crop: Crop, target: Size) -> Picture:
    """The window in another size, out of a decoded photo."""
    rect, across, down = crop.rect, whole.width / crop.size[0], whole.height / crop.size[1]
    box = rect.left * across, rect.top * down, rect.right * across, rect.bottom * down
    return shown(resized(mixable(whole), target, box))


def padded(whole: Image.Image, crop: Crop, canvas: Size, colour: RGBA) -> Picture:
    """A decoded photo in the middle of a canvas of the wanted shape."""
    scale = min(canvas[0] / crop.size[0], canvas[1] / crop.size[1])
    inner = max(1, round(crop.size[0] * scale)), max(1, round(crop.size[1] * scale))
    picture = shown(resized(mixable(whole), inner))
    picture_on_canvas = blank(canvas, colour, picture)
    start = (canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2
    picture_on_canvas.paste(picture.convert(picture_on_canvas.mode), start)
    return picture_on_canvas
