"""A chosen window: cut it out, or pad the photo instead."""

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image, ImageColor

from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Rect, Size, parse_size
from gazecrop._photo import decoded, resizable
from gazecrop._source import Photo
from gazecrop._things import Cut

MAX_PADDED_PIXELS = 64_000_000


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

    def apply(self, photo: Photo, size: Size | None = None) -> Image.Image:
        """Cut the window out of the photo, turned upright first.

        Args:
            photo: the one that was predicted.
            size: (width, height) in pixels to resize the cut to, larger or smaller; by
                default it stays as it is. A JPEG is then decoded no larger than it needs.

        Raises:
            gazecrop.InvalidArgument: the photo cannot be decoded or is not the one predicted,
                or the size has another aspect ratio than the crop.
        """
        rect = self.rect
        box: tuple[float, float, float, float] = rect.left, rect.top, rect.right, rect.bottom
        if size is None:
            return self._decoded(photo).crop(box)
        target = self._target(size)
        reduction = min(rect.width / target[0], rect.height / target[1])
        image = resizable(self._decoded(photo, reduction))
        across, down = image.width / self.size[0], image.height / self.size[1]
        box = box[0] * across, box[1] * down, box[2] * across, box[3] * down
        return image.resize(target, Image.Resampling.LANCZOS, box, reducing_gap=3)

    def pad(self, photo: Photo, size: Size | None = None, colour: str = "white") -> Image.Image:
        """The whole photo, upright, in the middle of a canvas of the wanted shape.

        Args:
            photo: the one that was predicted.
            size: (width, height) of the canvas; by default the photo keeps its pixels.
            colour: of the rest, as Pillow names colours.

        Raises:
            gazecrop.InvalidArgument: as `apply`; also, there is no such colour, or the canvas
                would have more than 64 million pixels.
        """
        canvas = self.padding.size if size is None else self._target(size)
        if canvas[0] * canvas[1] > MAX_PADDED_PIXELS:
            raise InvalidArgument(
                f"a canvas of {canvas[0]}×{canvas[1]} pixels is too large; give a smaller size"
            )
        try:
            ImageColor.getrgb(colour)
        except ValueError as error:
            raise InvalidArgument(str(error)) from error
        image = resizable(self._decoded(photo))
        scale = min(canvas[0] / image.width, canvas[1] / image.height)
        inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        padded = Image.new(image.mode, canvas, colour)
        start = (canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2
        padded.paste(image.resize(inner, Image.Resampling.LANCZOS), start)
        return padded

    def _decoded(self, photo: Photo, reduction: float = 1.0) -> Image.Image:
        image, size = decoded(photo, reduction)
        if size != self.size:
            raise InvalidArgument(
                f"this crop belongs to a photo of {self.size[0]}×{self.size[1]} pixels, "
                f"not {size[0]}×{size[1]}"
            )
        return image

    def _target(self, size: Size) -> Size:
        width, height = parse_size(size)
        if abs(width - height * self.ratio) > 1 and abs(height - width / self.ratio) > 1:
            raise InvalidArgument(
                f"{width}×{height} pixels have the aspect ratio {width / height:.4g}, "
                f"this crop has {self.ratio:.4g}"
            )
        return width, height
