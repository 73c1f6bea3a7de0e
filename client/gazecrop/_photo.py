"""The forms in which a photo may be given: path, bytes, open file or PIL image."""

import io
import os
from pathlib import Path
from typing import BinaryIO, TypeAlias

from PIL import Image, ImageOps, UnidentifiedImageError

from gazecrop._errors import InvalidArgument

Photo: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image.Image

JPEG_QUALITY = 95  # of a PIL image on its way to the server; higher changes no prediction


def encoded(photo: Photo) -> bytes:
    """The photo as a file's bytes.

    Raises:
        InvalidArgument: this is no photo, or its file cannot be read.
    """
    if isinstance(photo, Image.Image):
        return _encode(photo)
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


def upright(photo: Photo) -> Image.Image:
    """The decoded photo, turned as its EXIF orientation says.

    Raises:
        InvalidArgument: this is no photo, or Pillow cannot decode it.
    """
    if isinstance(photo, Image.Image):
        return ImageOps.exif_transpose(photo)
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(photo))))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise InvalidArgument(f"cannot decode the photo: {error}") from error


def _encode(image: Image.Image) -> bytes:
    image = ImageOps.exif_transpose(image)
    file = io.BytesIO()
    if image.has_transparency_data:
        image.save(file, "PNG", compress_level=1)
    else:
        image.convert("RGB").save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
