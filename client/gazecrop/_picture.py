"""A PIL image that keeps what its colours mean, however it is saved."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from PIL import Image

OPAQUE_FORMATS = ("JPEG", "MPO")


class Picture(Image.Image):
    """A PIL image, L, LA, RGB or RGBA, whose `save` writes its colour profile and nothing else.

    Plain PIL images lose it in JPEG and WebP, and cannot write transparent ones as JPEG.
    """

    @classmethod
    def of(cls, image: Image.Image, info: Mapping[Any, Any]) -> "Picture":
        """The same pixels, copied only if one of the two changes them, with this `info`."""
        image.load()
        picture = cls()
        vars(picture).update(vars(image))
        picture.info = dict(info)
        picture.readonly = image.readonly = 1
        return picture

    def save(
        self,
        fp: str | bytes | os.PathLike[str] | os.PathLike[bytes] | IO[bytes],
        format: str | None = None,
        **params: Any,
    ) -> None:
        """As PIL's; by default with the profile, and as JPEG on white where it is transparent."""
        params.setdefault("icc_profile", self.info.get("icc_profile"))
        written = flattened(self) if _format(fp, format) in OPAQUE_FORMATS else self
        Image.Image.save(written, fp, format, **params)


def flattened(picture: Image.Image) -> Image.Image:
    """The opaque picture, L or RGB, that shows a transparent one on white, as browsers do."""
    if not picture.has_transparency_data:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(white, picture.convert("RGBA"))
    return flat.convert("L" if picture.mode == "LA" else "RGB")


def _format(fp: object, format: str | None) -> str | None:
    if format:
        return format.upper()
    name = fp if isinstance(fp, str | bytes | os.PathLike) else getattr(fp, "name", "")
    suffix = Path(os.fsdecode(name)).suffix if isinstance(name, str | bytes | os.PathLike) else ""
    return Image.registered_extensions().get(suffix.lower())
