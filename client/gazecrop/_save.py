"""Pictures become files."""

import io
import operator
from pathlib import Path

from PIL import Image

from gazecrop._colour import mixable, shown
from gazecrop._errors import InvalidArgument
from gazecrop._photo import pillow_fails
from gazecrop._picture import Picture

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif"}
QUALITY = {"JPEG": 92, "WEBP": 90, "AVIF": 80}
SMALLEST = {"JPEG": {"optimize": True}}  # as small as others make it at the same quality


def encode(
    picture: Image.Image, format: str | None = None, quality: int | None = None, exif: bytes = b""
) -> tuple[bytes, str]:
    """The file of a picture, and its suffix. Of metadata it has a colour profile at most.

    Args:
        picture: `Crop.apply`'s, say.
        format: "jpeg", "png", "webp" or "avif"; by default JPEG, or PNG for a picture that shows
            what is below it. As JPEG it shows white there.
        quality: 1 to 100; by default 92, of WebP 90, of AVIF 80. PNG has none.
        exif: metadata to write all the same.

    Raises:
        gazecrop.InvalidArgument: there is no such format or quality, the format cannot hold so
            many pixels, or Pillow cannot decode the picture.
    """
    if not isinstance(picture, Picture):
        with pillow_fails("use the picture"):
            picture = shown(mixable(picture))
    picture = _without_needless_alpha(picture)
    name = parse_format(format) if format else "PNG" if picture.has_transparency_data else "JPEG"
    chosen = QUALITY.get(name) if quality is None else parse_quality(quality)
    options = {**SMALLEST.get(name, {}), **({"quality": chosen} if name in QUALITY else {})}
    file = io.BytesIO()
    try:
        picture.save(file, name, exif=exif, **options)
    except (OSError, ValueError) as error:
        width, height = picture.size
        raise InvalidArgument(f"cannot write {width}×{height} pixels as {name}: {error}") from error
    return file.getvalue(), SUFFIXES[name]


def parse_format(format: str) -> str:
    """Pillow's name of a format.

    Raises:
        InvalidArgument: it is none of those that pictures are written in.
    """
    name = str(format).upper().replace("JPG", "JPEG")
    if name not in SUFFIXES:
        known = ", ".join(sorted(known.lower() for known in SUFFIXES))
        raise InvalidArgument(f"pictures are written as {known}, not as {format!r}")
    return name


def format_of(path: Path) -> str:
    """The format that a file's suffix tells.

    Raises:
        InvalidArgument: it tells none of those that pictures are written in.
    """
    name = Image.registered_extensions().get(path.suffix.lower(), path.suffix or "nothing")
    return parse_format(name)


def parse_quality(quality: int) -> int:
    """A whole number from 1 to 100.

    Raises:
        InvalidArgument: it is something else.
    """
    try:
        number = operator.index(quality)
    except TypeError:
        number = 0
    if not 1 <= number <= 100:
        raise InvalidArgument(f"a quality is a whole number from 1 to 100, not {quality!r}")
    return number


def write(data: bytes, path: Path) -> None:
    """A whole file, or none: whoever looks meanwhile sees what was there before.

    Raises:
        InvalidArgument: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")  # renamed when whole
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # the latter where a name has a NUL
        reason = getattr(error, "strerror", None) or error
        raise InvalidArgument(f"cannot write {path}: {reason}") from error


def _without_needless_alpha(picture: Picture) -> Picture:
    """The picture without the channel that makes nothing transparent."""
    if not picture.has_transparency_data or picture.getchannel("A").getextrema()[0] != 255:
        return picture
    return Picture.of(picture.convert(picture.mode.removesuffix("A")), picture.info)
