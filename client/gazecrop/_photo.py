"""What is sent of a photo, and its decoded picture."""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageFile, JpegImagePlugin, features

from gazecrop._container import ORIENTATION, UPRIGHT, contents, exif_orientation, kind_of
from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Size
from gazecrop._modes import in_8_bits, resizable
from gazecrop._source import Photo, picture, read
from gazecrop._tail import check_jpeg, with_grey_tail

SHRUNK_SIDE = 512  # pixels at least of a shrunken copy's longer side: the network sees 320
SHRUNK_QUALITY = 90
MAX_SHRUNK_PIXELS = 128_000_000  # the server takes no larger photos: it shall say so
MAX_SHRUNK_PROGRESSIVE_PIXELS = 26_000_000  # these are decoded in full, so it takes fewer
MAX_SHRUNK_SCANS = 30  # a hostile JPEG has thousands, and each costs a pass over the photo
OTHERS_ORIENTATION = {"xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
MENDED = ("PNG", "GIF", "BMP", "TIFF", "WEBP")  # formats of which Pillow refuses a part
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
        with pillow_fails("use the picture"):
            image = turned(pixels, _orientation(pixels))
            return Upload(_encode(_reduced(in_8_bits(image))), image.size)
    data = read(photo)
    if shrink_above is None or len(data) <= shrink_above:
        return Upload(data)
    return _shrunk(data) or Upload(data)


def decoded(photo: Photo, reduction: float = 1.0) -> tuple[Image.Image, Size]:
    """The upright picture, and the (width, height) that the photo has in full.

    Args:
        reduction: how many times smaller the picture may be; a JPEG then decodes faster.

    Raises:
        InvalidArgument: this is no photo, Pillow cannot decode it, or more than the last tenth of
            its rows is missing.
    """
    if (pixels := picture(photo)) is not None:
        with pillow_fails("use the picture"):
            image = turned(pixels, _orientation(pixels))
            return image, image.size
    image, orientation, size = _decoded(read(photo), reduction)
    return turned(image, orientation), size


def opened(data: bytes) -> tuple[ImageFile.ImageFile, int]:
    """The picture in a file, not yet decoded, and the EXIF orientation in which it is stored.

    Its metadata is left behind, except for the colour profile.

    Raises:
        InvalidArgument: this is no photo that Pillow reads; for HEIC and AVIF, which package does.
    """
    kind = kind_of(data)
    if kind is None:
        raise InvalidArgument(
            "cannot decode the photo: not a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF"
        )
    _check_reader(kind)
    data, orientation, icc_profile = contents(data)
    with pillow_fails("decode the photo"):
        if kind == "JPEG":  # not by Image.open, which warns of 89 megapixels and more
            image: ImageFile.ImageFile = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        else:
            image = Image.open(io.BytesIO(data), formats=[kind])
    if kind == "AVIF":
        orientation = exif_orientation(image.info.get("exif") or b"")
    for metadata in ("exif", "xmp", "comment"):
        image.info.pop(metadata, None)
    if icc_profile:
        image.info["icc_profile"] = icc_profile
    return image, orientation


def upright_size(image: Image.Image, orientation: int) -> Size:
    """The (width, height) of a picture that is stored in an EXIF orientation."""
    return image.size[::-1] if orientation in SIDEWAYS else image.size


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture that is stored in an EXIF orientation, upright."""
    if orientation not in TURNS:
        image.load()
        return image
    upright = image.transpose(TURNS[orientation])
    for metadata in ("exif", "xmp"):  # which would have it turned once more
        upright.info.pop(metadata, None)
    return upright


@contextmanager
def pillow_fails(to: str) -> Iterator[None]:
    """Turn what Pillow raises into our error: of a damaged picture that may be anything."""
    try:
        yield
    except InvalidArgument:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidArgument(f"cannot {to}: {reason}") from error


def _orientation(image: Image.Image) -> int:
    """By the EXIF of the file that a PIL image is from, or by what was set on it since."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return exif_orientation(exif)
    if image.format or not OTHERS_ORIENTATION.isdisjoint(image.info):  # getexif would believe these
        return UPRIGHT
    return image.getexif().get(ORIENTATION, UPRIGHT)


def _check_reader(kind: str) -> None:
    """Raise what to install for a format that not every Pillow reads."""
    if kind == "HEIF":
        try:
            importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
        except ImportError as error:
            raise InvalidArgument(
                "cannot decode a HEIC photo without the package pillow-heif: "
                "pip install pillow-heif"
            ) from error
    elif kind == "AVIF" and not ("avif" in features.modules and features.check("avif")):
        raise InvalidArgument(
            "cannot decode an AVIF photo with this Pillow: pip install --upgrade pillow"
        )


def _decoded(data: bytes, reduction: float) -> tuple[Image.Image, int, Size]:
    """The picture in a file, the orientation in which it is stored, and its upright size in full.

    Raises:
        InvalidArgument: as `decoded`.
    """
    picture: Image.Image
    try:
        picture, orientation = image, _ = opened(data)
        size = upright_size(image, orientation)
        _load(image, reduction)
    except InvalidArgument:
        kind = kind_of(data)
        if kind not in MENDED:
            raise
        with pillow_fails("decode the photo"):
            picture, orientation = with_grey_tail(kind, data, opened)
        return picture, orientation, upright_size(picture, orientation)
    if kind_of(data) == "JPEG":
        with pillow_fails("decode the photo"):
            check_jpeg(image, data, lambda file: _load(opened(file)[0], reduction))
    return picture, orientation, size


def _load(image: ImageFile.ImageFile, reduction: float) -> Image.Image:
    with pillow_fails("decode the photo"):
        if reduction >= 2:
            image.draft(None, (int(image.width / reduction), int(image.height / reduction)))
        image.load()
    return image


def _shrunk(data: bytes) -> Upload | None:
    """A small upright copy of a large JPEG; None if this is none, or the server should judge it."""
    if kind_of(data) != "JPEG" or data.count(b"\xff\xda") > MAX_SHRUNK_SCANS:
        return None
    try:
        image, _ = opened(data)
        progressive = "progressive" in image.info
        most = MAX_SHRUNK_PROGRESSIVE_PIXELS if progressive else MAX_SHRUNK_PIXELS
        if image.width * image.height > most or image.mode not in ("L", "RGB"):
            return None
        picture, orientation, size = _decoded(data, max(image.size) / SHRUNK_SIDE)
    except InvalidArgument:
        return None  # damaged: the server's answer says how
    return Upload(_encode(turned(picture, orientation), SHRUNK_QUALITY), size)


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
