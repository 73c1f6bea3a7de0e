"""A picture of a prediction: a map of it, the crop frames and the salient point."""

import itertools
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gazecrop import _colour
from gazecrop._colour import PROFILE, RGB, in_known_range, in_profile, mixable, resized
from gazecrop._crop import Crop
from gazecrop._errors import InvalidArgument
from gazecrop._geometry import Size
from gazecrop._photo import decoded
from gazecrop._picture import Picture, flattened
from gazecrop._saliency import Saliency
from gazecrop._source import Photo

LONGEST_SIDE = 1280  # pixels of the picture
FRAMES = [
    *[(255, 255, 255), (63, 215, 255), (182, 255, 92)],
    *[(255, 157, 245), (255, 225, 77), (168, 180, 255)],
]
HEAT = [(40, 0, 90), (200, 20, 90), (255, 120, 30), (255, 235, 90)]
POINT = [(0, 0, 0), (255, 255, 255), (230, 25, 75)]  # from the outside in
HEAT_OPACITY = 0.75


def overlay(
    photo: Photo,
    saliency: Saliency,
    crops: Mapping[str, Crop],
    shown: Literal["saliency", "integrity"] = "saliency",
) -> Picture:
    """Draw a prediction over its photo.

    Args:
        photo: the photo that was predicted.
        saliency: its prediction.
        crops: frames to draw, by their labels ("16:9", say).
        shown: the map: where people look, or what a cut spoils.

    Returns:
        An RGB picture of at most `LONGEST_SIDE` pixels a side, with the photo's colour profile.

    Raises:
        gazecrop.InvalidArgument: the photo cannot be decoded, or the prediction has no such map.
    """
    values = {"saliency": saliency.density, "integrity": saliency.integrity}.get(shown)
    if values is None:
        raise InvalidArgument(f"this prediction has no map of {shown!r} to show")
    picture = _small(photo, saliency.size)
    profile = picture.info.get(PROFILE)
    picture = _with_heat(picture, values / max(values.max(), np.finfo(np.float32).tiny), profile)
    draw = ImageDraw.Draw(picture)
    scale = picture.width / saliency.size[0]
    line = max(2, round(max(picture.size) / 300))
    colours = itertools.cycle(in_profile(FRAMES, profile))
    coloured = list(zip(crops.items(), colours, strict=False))
    for (_, crop), colour in coloured:
        _draw_frame(draw, crop, colour, scale, line)
    for index, ((label, crop), colour) in enumerate(coloured):
        # Frames often share a corner, so each label stands one line lower than the one before.
        corner = crop.rect.left * scale, crop.rect.top * scale + index * 11 * line
        _draw_label(draw, corner, f"{label}  {crop.kept:.0%}", colour, line)
    x, y = (coordinate * scale for coordinate in saliency.salient_point)
    radii = 4 * line, 3 * line, 1.5 * line
    for radius, colour in zip(radii, in_profile(POINT, profile), strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return picture


def _small(photo: Photo, size: Size) -> Picture:
    """The photo to draw on."""
    image, size = decoded(photo, max(size) / LONGEST_SIDE)
    image = mixable(in_known_range(image))
    scale = min(1.0, LONGEST_SIDE / max(size))
    inner = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    picture = _colour.shown(resized(image, inner))
    return Picture.of(flattened(picture).convert("RGB"), picture.info)


def _with_heat(picture: Picture, values: NDArray[np.float32], profile: bytes | None) -> Picture:
    """Cool where the values 0–1 are low and hot where high; at 0 the photo shows through."""
    heat = Image.fromarray(values).resize(picture.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(heat), 0, 1) ** 0.5
    steps = np.linspace(0, 1, len(HEAT))
    channels = np.array(in_profile(HEAT, profile), float).T
    colour = np.stack([np.interp(level, steps, channel) for channel in channels], axis=-1)
    opacity = HEAT_OPACITY * level[..., None]
    mixed = np.asarray(picture) * (1 - opacity) + colour * opacity
    return Picture.of(Image.fromarray(mixed.round().astype(np.uint8)), picture.info)


def _draw_frame(
    draw: ImageDraw.ImageDraw, crop: Crop, colour: RGB, scale: float, line: int
) -> None:
    """A coloured frame with dark edges, as much of it as there is room for."""
    rect = crop.rect
    left, top = round(rect.left * scale), round(rect.top * scale)
    right, bottom = round(rect.right * scale) - 1, round(rect.bottom * scale) - 1
    for inset, fill, width in ((0, (0, 0, 0), line + 2), (1, colour, line)):
        box = left + inset, top + inset, right - inset, bottom - inset
        if box[0] <= box[2] and box[1] <= box[3]:
            draw.rectangle(box, outline=fill, width=width)


def _draw_label(
    draw: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, colour: RGB, line: int
) -> None:
    font = ImageFont.load_default(size=6 * line + 4)
    start = corner[0] + 3 * line, corner[1] + 3 * line
    left, top, right, bottom = draw.textbbox(start, text, font=font)
    draw.rectangle((left - line, top - line, right + line, bottom + line), fill="black")
    draw.text(start, text, font=font, fill=colour)
