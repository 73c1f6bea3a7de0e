"""The forms in which a photo may be given: path, bytes, open file or PIL image."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from PIL import Image, ImageOps, UnidentifiedImageError

from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Size

Photo: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image.Image

SHRUNK_SIDE = 512  # pixels at least of a shrunken copy's longer side: the network sees 320
SHRUNK_QUALITY = 90
MAX_SHRUNK_PIXELS = 64_000_000  # the server takes no larger photos: it shall say so
MAX_SHRUNK_SCANS = 30  # a hostile JPEG has thousands, and each costs a pass over the photo
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Upload:
    """What is sent of a photo.

    Attributes:
        data: an encoded file.
        size: (width, height) of the upright photo, if `data` is a shrunken copy of it.
    """

    data: bytes
    size: Size | None = None


def upload(photo: Photo, shrink_above: int | None) -> Upload:
    """The file to send: a large JPEG or a PIL image as a shrunken copy, the rest as it is.

    Raises:
        InvalidArgument: this is no photo, or its file cannot be read.
    """
    if isinstance(photo, Image.Image):
        image = ImageOps.exif_transpose(photo)
        return Upload(_encode(_reduced(_in_8_bits(image))), image.size)
    data = read(photo)
    if shrink_above is None or len(data) <= shrink_above:
        return Upload(data)
    return _shrunk(data) or Upload(data)


def read(photo: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    """The bytes of a photo's file.

    Raises:
        InvalidArgument: this is no photo, or its file cannot be read.
    """
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str | os.PathLike):
        try:
            return Path(photo).read_bytes()
        except OSError as error:
            raise InvalidArgument(f"cannot read {photo}: {error.strerror}") from error
    if hasattr(photo, "read"):
        data = photo.read()
        if isinstance(data, bytes):
            return data
        raise InvalidArgument("the photo's file must be opened in binary mode")
    raise InvalidArgument(
        f"a photo is a path, bytes, an open file or a PIL image, not {type(photo).__name__}"
    )


def decoded(photo: Photo, reduction: float = 1.0) -> tuple[Image.Image, Size]:
    """The upright picture, and the (width, height) that the photo has in full.

    Args:
        reduction: how many times smaller the picture may be; a JPEG then decodes faster.

    Raises:
        InvalidArgument: this is no photo, or Pillow cannot decode it.
    """
    if isinstance(photo, Image.Image):
        image = ImageOps.exif_transpose(photo)
        return image, image.size
    try:
        image = Image.open(io.BytesIO(read(photo)))
        size = image.size[::-1] if _orientation(image) in SIDEWAYS else image.size
        if reduction >= 2:
            image.draft(None, (int(image.width / reduction), int(image.height / reduction)))
        return ImageOps.exif_transpose(image), size
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidArgument(f"cannot decode the photo: {error}") from error


def upright(photo: Photo) -> Image.Image:
    """The decoded photo, turned as its EXIF orientation says.

    Raises:
        InvalidArgument: this is no photo, or Pillow cannot decode it.
    """
    return decoded(photo)[0]


def resizable(image: Image.Image) -> Image.Image:
    """The picture in a mode in which Pillow can mix neighbouring pixels."""
    if image.mode in ("P", "1", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _orientation(image: Image.Image) -> int:
    # Pillow turns a TIFF itself and says so in its size.
    return 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)


def _shrunk(data: bytes) -> Upload | None:
    """A small upright copy of a large JPEG; None if this is none, or the server should judge it."""
    if data.count(b"\xff\xda") > MAX_SHRUNK_SCANS:
        return None
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        if image.width * image.height > MAX_SHRUNK_PIXELS or image.mode not in ("L", "RGB"):
            return None
        reduction = max(image.size) / SHRUNK_SIDE
        picture, size = decoded(data, reduction)
        return Upload(_encode(picture, SHRUNK_QUALITY), size)
    except (OSError, SyntaxError, InvalidArgument):
        return None  # damaged: the server's answer says how


def _in_8_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I;16"):
        return image
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // SHRUNK_SIDE
    return resizable(image).reduce(factor) if factor > 1 else image


def _encode(image: Image.Image, quality: int = 95) -> bytes:
    file = io.BytesIO()
    if image.has_transparency_data:
        image.save(file, "PNG", compress_level=1)
    else:
        image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()
