"""What is sent of a photo, and its decoded picture."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageOps

from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Size
from gazecrop._source import Photo, picture, read

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
    """The file to send: a large JPEG or pixels as a shrunken copy, the rest as it is.

    Raises:
        InvalidArgument: this is no photo, or its file cannot be read.
    """
    if (pixels := picture(photo)) is not None:
        with _pillow_fails("use the picture"):
            image = ImageOps.exif_transpose(pixels)
            return Upload(_encode(_reduced(_in_8_bits(image))), image.size)
    data = read(photo)
    if shrink_above is None or len(data) <= shrink_above:
        return Upload(data)
    return _shrunk(data) or Upload(data)


def decoded(photo: Photo, reduction: float = 1.0) -> tuple[Image.Image, Size]:
    """The upright picture, and the (width, height) that the photo has in full.

    Args:
        reduction: how many times smaller the picture may be; a JPEG then decodes faster.

    Raises:
        InvalidArgument: this is no photo, or Pillow cannot decode it.
    """
    if (pixels := picture(photo)) is not None:
        with _pillow_fails("use the picture"):
            image = ImageOps.exif_transpose(pixels)
            return image, image.size
    data = read(photo)
    with _pillow_fails("decode the photo"):
        image = Image.open(io.BytesIO(data))
        size = image.size[::-1] if _orientation(image) in SIDEWAYS else image.size
        if reduction >= 2:
            image.draft(None, (int(image.width / reduction), int(image.height / reduction)))
        return ImageOps.exif_transpose(image), size


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


@contextmanager
def _pillow_fails(to: str) -> Iterator[None]:
    """Turn what Pillow raises into our error: of a damaged picture that may be anything."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidArgument(f"cannot {to}: {reason}") from error


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
        known_to_png = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode, image.mode)
        image.convert(known_to_png).save(file, "PNG", compress_level=1)
    else:
        image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()
