"""What a picture's pixels mean: whatever leaves says so, or is in sRGB, which all assume.

Pictures leave as L, LA, RGB or RGBA, 8 bits a channel. An RGB profile goes with them, so that wide
gamuts survive; every other way to say what colours mean is one that viewers know less well, and
such pixels become sRGB. Colours that somebody asks for by name are sRGB's, too.
"""

import io
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image, ImageCms, ImageColor

from gazecrop._chromaticities import profile_of
from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Size
from gazecrop._modes import in_8_bits, resizable
from gazecrop._picture import Picture

RGB: TypeAlias = tuple[int, int, int]
RGBA: TypeAlias = tuple[int, int, int, int]

PROFILE = "icc_profile"  # where Pillow keeps it
SPACES = {"L": "GRAY", "LA": "GRAY", "I;16": "GRAY", "CMYK": "CMYK", "LAB": "LAB"}  # else RGB
SIMPLER = {"1": "L", "L": "L", "RGB": "RGB", "La": "LA", "RGBa": "RGBA"}
RELATIVE = ImageCms.Intent.RELATIVE_COLORIMETRIC  # white stays white, and so does what sRGB shows
SCREEN_GAMMA = 2.2  # what browsers set against a PNG's
SAME_GAMMA = 0.05  # as libpng has it: a difference that nobody sees
MAX_GAMMA = 100.0
SRGB_WHITE_TO_BLUE = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


def in_known_range(image: Image.Image) -> Image.Image:
    """The same picture, unless only the whole of it tells how wide its values range: 8 bits then.

    Such are the modes I and F. A part of a picture is to be cut from this.
    """
    if image.mode not in ("I", "F"):
        return image
    return Picture.of(in_8_bits(image), image.info)


def mixable(image: Image.Image) -> Picture:
    """The picture in a mode in which Pillow mixes neighbouring pixels, its colours as they are."""
    transparent = image.has_transparency_data
    if image.mode.startswith("I;16"):
        mixed = Image.fromarray(np.asarray(image).astype("<u2"))
        if transparent:
            mixed = in_8_bits(mixed)
            mixed.putalpha(_not_the_key(image))
    elif image.mode in SIMPLER:
        mode = SIMPLER[image.mode].removesuffix("A") + "A" * transparent
        mixed = image if mode == image.mode else image.convert(mode)
    else:
        mixed = resizable(in_known_range(image))
    told = {key: value for key, value in image.info.items() if key != "transparency"}
    return Picture.of(mixed, told)


def resized(
    image: Image.Image, size: Size, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """A box of a mixable picture, or all of it, in another size."""
    gap = None if image.mode == "I;16" else 3  # Pillow does not average 16 bits beforehand
    return image.resize(size, Image.Resampling.LANCZOS, box, gap)


def shown(image: Image.Image) -> Picture:
    """The picture as L, LA, RGB or RGBA, in sRGB or with an RGB profile, and no other metadata.

    Args:
        image: a mixable one, with what its file told in `info`.
    """
    data, space = image.info.get(PROFILE), SPACES.get(image.mode, "RGB")
    profile = _profile(data)
    said = profile.profile.xcolor_space.strip() if profile else None
    if said == "RGB" and space in ("RGB", "GRAY"):
        mode = "RGBA" if image.has_transparency_data else "RGB"
        picture = image if image.mode == mode else image.convert(mode)
        return Picture.of(picture, {PROFILE: data})
    if not profile or said != space:
        profile = _standard("LAB") if space == "LAB" else _by_chunks(image)
    return Picture.of(_in_srgb(image, profile) if profile else _curved(image), {})


def parse_colour(name: str) -> RGBA:
    """A colour as Pillow names it.

    Raises:
        InvalidArgument: Pillow knows no such colour.
    """
    try:
        red, green, blue, *alpha = ImageColor.getrgb(name)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"a colour is like 'white' or '#ff8000': {error}") from error
    return red, green, blue, alpha[0] if alpha else 255


def blank(size: Size, colour: RGBA, picture: Picture) -> Picture:
    """A canvas in a colour of sRGB, to paste a picture on: with its profile, in a mode for both."""
    profile = picture.info.get(PROFILE)
    (filling,) = in_profile([colour[:3]], profile)
    grey = picture.mode in ("L", "LA") and len(set(filling)) == 1
    alpha = picture.has_transparency_data or colour[3] < 255
    filled = (*(filling[:1] if grey else filling), *colour[3:])
    mode = ("L" if grey else "RGB") + "A" * alpha
    canvas = Image.new(mode, size, filled if alpha else filled[:-1])
    return Picture.of(canvas, picture.info)


def in_profile(colours: Sequence[RGB], profile: bytes | None) -> list[RGB]:
    """Colours of sRGB as a picture with this profile holds them."""
    if profile is None:
        return list(colours)
    row = Image.fromarray(np.array([colours], np.uint8))
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    held = ImageCms.profileToProfile(row, _standard("sRGB"), target, RELATIVE) or row
    return [(red, green, blue) for red, green, blue in np.asarray(held)[0].tolist()]


def _standard(space: Literal["sRGB", "LAB"]) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space))


def _not_the_key(image: Image.Image) -> Image.Image:
    """Alpha, of a 16-bit picture in which one value means transparent."""
    key = image.info.get("transparency")
    return Image.fromarray(np.where(np.asarray(image) == key, 0, 255).astype(np.uint8))


def _profile(data: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """The profile, if colours can be converted by it: browsers ignore the others."""
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        mode = {"GRAY": "L"}.get(space, space)
        ImageCms.buildTransform(profile, _standard("sRGB"), mode, "RGB", RELATIVE)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return profile


def _in_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """The picture with its colours converted, as RGB, RGBA, L or LA."""
    opaque = image.getchannel("L") if image.mode == "LA" else image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    srgb = ImageCms.profileToProfile(opaque, profile, _standard("sRGB"), RELATIVE, mode) or opaque
    if SPACES.get(image.mode) == "GRAY":
        srgb = srgb.getchannel("G")
    if image.mode == "LA":
        srgb.putalpha(image.getchannel("A"))
    return srgb


def _by_chunks(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """What a PNG's chunks gAMA and cHRM say together, unless that is sRGB or less than it takes."""
    white_to_blue, gamma = image.info.get("chromaticity"), _gamma(image)
    if image.mode not in ("RGB", "RGBA") or not white_to_blue or not gamma:
        return None
    close = np.allclose(white_to_blue, SRGB_WHITE_TO_BLUE, atol=0.002)
    if close and abs(gamma / SCREEN_GAMMA - 1) < SAME_GAMMA:
        return None
    return _profile(profile_of(white_to_blue, gamma))


def _curved(image: Image.Image) -> Image.Image:
    """The picture in 8 bits, the gamma that its PNG tells made the screen's."""
    exponent = (_gamma(image) or SCREEN_GAMMA) / SCREEN_GAMMA
    if abs(exponent - 1) < SAME_GAMMA:
        exponent = 1.0
    if image.mode == "I;16":
        values = np.linspace(0, 1, 2**16) ** exponent * 255
        return Image.fromarray(values.round().astype(np.uint8)[np.asarray(image)])
    plain = image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")
    if exponent == 1:
        return plain
    curve = (np.linspace(0, 1, 2**8) ** exponent * 255).round().astype(int).tolist()
    bands = [range(256) if band == "A" else curve for band in plain.getbands()]
    return plain.point([value for band in bands for value in band])


def _gamma(image: Image.Image) -> float | None:
    """The exponent that makes values proportional to light, if a PNG tells a sensible one."""
    told = 0 if "srgb" in image.info else image.info.get("gamma", 0)
    return 1 / told if 1 / MAX_GAMMA < told < MAX_GAMMA else None
