"""Images as they stream from a decoder → few RGB pixels, whatever their bands, depth and colours.

They are averaged first, since all that follows is then work on few pixels.
"""

import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("VIPS_CONCURRENCY", "1")  # the instances share the cores already

import cv2
import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image
from source import Pixels

Values = NDArray[Any]  # [h, w, bands]

ENOUGH_ROWS = 0.9  # of a photo whose tail is missing
STRIP = 16  # rows
STREAMED = 400  # rows that are held at once, in all stages together
LOST = 128  # the grey that stands for what is missing
WHITES = {"uchar": 255, "ushort": 65535}  # by how samples are stored
RANGES = (1.0, 255.0, 65535.0)  # of what is stored in more than 16 bits, as nothing tells
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
# White hides what is drawn on nothing in a luminance of that and more. On this dark grey, crops at
# 1:2 keep at least 0.95 of a white logo; on black 0.84.
LIGHT, DARK = 200, 96
PROFILE, BLOB = "icc-profile-data", pyvips.GValue.blob_type

pyvips.block_untrusted_set(True)
pyvips.cache_set_max(0)  # no photo comes twice
Image.MAX_IMAGE_PIXELS = None  # photo.MAX_PIXELS takes its place, with a message of its own
logging.getLogger("pyvips").setLevel(logging.ERROR)  # it warns of every damaged upload


class Raster(NamedTuple):
    """Pixels and what they mean.

    Attributes:
        values: of the bands, the last of which may be opacity; colours are multiplied by it.
        white: the largest value, or None where nothing tells it.
        space: libvips's name of the colours' space.
        profile: their ICC profile.
    """

    values: Values
    white: int | None
    space: str
    profile: bytes | None
    has_alpha: bool


def whole_or_most(load: Callable[[], Any], height: int, width: int) -> Pixels:
    """Shrink what `load` reads; if the last rows are missing, with grey in their place.

    Raises:
        pyvips.Error: the file cannot be read.
        ValueError: too many rows are missing.
    """
    try:
        return shrunk(load(), height, width)
    except pyvips.Error:
        image = load()
        rows = _readable_rows(image)
        if not rows:
            raise  # it is not cut off
        check_rows(rows, image.height)
        return shrunk(with_lost_rows(load(), rows), height, width)


def check_rows(there: int, all: int) -> None:
    """Raise ValueError where too many of a photo's rows are missing."""
    if there < ENOUGH_ROWS * all:
        raise ValueError(f"only {there / all:.0%} of the rows are there")


def with_lost_rows(image: Any, rows: int) -> Any:
    """An image of which that many rows are there, with grey for the rest."""
    white = WHITES.get(image.format, 0)  # of numbers whose range nothing tells: black
    grey = [LOST / 255 * white] * image.bands
    if image.hasalpha():
        grey[-1] = white
    top = image.crop(0, 0, image.width, rows)
    return top.embed(0, 0, image.width, image.height, extend="background", background=grey)


def shrunk(image: Any, height: int, width: int) -> Pixels:
    """Read a libvips image once, from top to bottom, and shrink it, by averaging, to RGB [h, w, 3].

    What is transparent becomes white, or dark behind what is too light to be seen on white.
    """
    return flattened(*reduced(image, height, width))


def reduced(image: Any, height: int, width: int) -> tuple[Pixels, Pixels | None]:
    """The same before it is flattened: colours [h, w, 3], and opacity [h, w] if it is not full."""
    storage, has_alpha = image.format, bool(image.hasalpha())
    across, down = max(1, image.width // (2 * width)), max(1, image.height // (2 * height))
    small = image.premultiply() if has_alpha else image
    if across > 1 or down > 1:
        small = small.shrink(across, down, ceil=True)
    raster = Raster(
        small.numpy().reshape(small.height, small.width, small.bands),
        WHITES.get(storage),
        image.interpretation,
        profile_of(image),
        has_alpha,
    )
    return _finished(raster, height, width)


def profile_of(image: Any) -> bytes | None:
    """The ICC profile of a libvips image."""
    return image.get(PROFILE) if image.get_typeof(PROFILE) else None


def of_pillow(image: Image.Image, height: int, width: int) -> Pixels:
    """The same of a Pillow image."""
    profile = image.info.get("icc_profile")
    has_alpha = image.has_transparency_data
    image = image.convert("RGBA").convert("RGBa") if has_alpha else image.convert("RGB")
    across, down = max(1, image.width // (2 * width)), max(1, image.height // (2 * height))
    values = np.asarray(image.reduce((across, down)))
    return flattened(*_finished(Raster(values, 255, "srgb", profile, has_alpha), height, width))


def of_array(pixels: NDArray[np.uint8], profile: bytes | None, height: int, width: int) -> Pixels:
    """The same of pixels [h, w], [h, w, 3] or, with opacity, [h, w, 4]."""
    values = pixels if pixels.ndim == 3 else pixels[..., None]
    if values.shape[2] == 4:
        image = Image.fromarray(values)
        image.info["icc_profile"] = profile
        return of_pillow(image, height, width)
    space = "srgb" if values.shape[2] == 3 else "b-w"
    return flattened(*_finished(Raster(values, 255, space, profile, False), height, width))


def of_inks(inks: NDArray[np.uint8], profile: bytes | None, height: int, width: int) -> Pixels:
    """The same of CMYK [h, w, 4], where 0 is no ink."""
    return _finished(Raster(inks, 255, "cmyk", profile, False), height, width)[0]


def flattened(colours: Pixels, alpha: Pixels | None) -> Pixels:
    """Colours [h, w, 3] of that opacity [h, w], before what contrasts with them."""
    if alpha is None or alpha.min() == 255:
        return colours
    opacity = alpha[..., None].astype(np.float32) / 255
    weight = opacity.sum() or 1
    luminance = (colours @ LUMINANCE * opacity[..., 0]).sum() / weight
    ground = DARK if luminance >= LIGHT else 255
    return _whole(ground + (colours - np.float32(ground)) * opacity)


def _finished(raster: Raster, height: int, width: int) -> tuple[Pixels, Pixels | None]:
    values = raster.values
    if values.dtype not in (np.uint8, np.uint16):
        values = values.astype(np.float32)
    size = min(width, values.shape[1]), min(height, values.shape[0])
    bands = [cv2.resize(band, size, interpolation=cv2.INTER_AREA) for band in _parted(values)]
    values = np.dstack(bands)
    if not raster.has_alpha:
        return _srgb(raster._replace(values=values)), None
    white = raster.white or 255
    alpha = values[..., -1:].astype(np.float32)
    colours = values[..., :-1] * (white / np.maximum(alpha, 1e-3 * white))
    if raster.white:
        colours = colours.round().clip(0, white).astype(np.uint8 if white == 255 else np.uint16)
    return _srgb(raster._replace(values=colours)), _whole(alpha[..., 0] * (255 / white))


def _parted(values: Values) -> list[Values]:
    """In as many bands as OpenCV resizes at once."""
    return [values[..., start : start + 4] for start in range(0, values.shape[2], 4)]


def _srgb(raster: Raster) -> Pixels:
    """The colours of few pixels without opacity, by their profile if it is a sound one."""
    values, white = raster.values, raster.white
    if raster.space == "lab":
        return _of_lab(values, white)
    if white is None:
        return _three(_whole(_spread(values)))
    if raster.profile:
        try:
            image = _image(raster).copy()
            image.set_type(BLOB, PROFILE, raster.profile)
            return _three(image.icc_transform("srgb", embedded=True, depth=8).numpy())
        except pyvips.Error:  # it is damaged, or of another number of colours
            pass
    if raster.space == "cmyk":  # as browsers do
        paper = white - values  # that shows between the inks
        black = np.repeat(paper[..., 3:4], 3, axis=2)
        return cv2.multiply(
            np.ascontiguousarray(paper[..., :3]), black, scale=255 / white**2, dtype=cv2.CV_8U
        )
    return _three(values if white == 255 else (values >> 8).astype(np.uint8))


def _of_lab(values: Values, white: int | None) -> Pixels:
    """Of whole numbers a and b are neutral in the middle; floats are what they say."""
    lab = values[..., :3].astype(np.float32)
    if white is not None:
        lab[..., 0] *= 100 / white
        lab[..., 1:] = lab[..., 1:] * (256 / (white + 1)) - 128
    image = pyvips.Image.new_from_array(lab, interpretation="lab")
    return _three(image.colourspace("srgb").numpy())


def _image(raster: Raster) -> Any:
    return pyvips.Image.new_from_array(raster.values, interpretation=raster.space)


def _spread(values: Values) -> Values:
    """Numbers whose range nothing tells, as 0 to 255."""
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    largest = float(finite.max())
    top = next((top for top in RANGES if largest <= top), largest)
    return finite.clip(0, top) * np.float32(255 / top)


def _three(values: Values) -> Pixels:
    """The first three bands, or three times the only one."""
    values = values[..., None] if values.ndim == 2 else values
    bands = values[..., :3] if values.shape[2] >= 3 else values[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(bands)


def _whole(values: Values) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)


def _readable_rows(image: Any) -> int:
    region = pyvips.Region.new(image)
    for top in range(0, image.height, STRIP):
        try:
            region.fetch(0, top, image.width, min(STRIP, image.height - top))
        except pyvips.Error:
            return top
    return int(image.height)
