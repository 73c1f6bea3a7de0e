"""A picture of a prediction: a map of it, the crop frames and the salient point."""

import itertools
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gazecrop._crop import Crop
from gazecrop._errors import InvalidArgument
from gazecrop._photo import upright
from gazecrop._saliency import Saliency
from gazecrop._source import Photo

LONGEST_SIDE = 1280  # pixels of the picture
FRAME_COLOURS = ("#ffffff", "#3fd7ff", "#b6ff5c", "#ff9df5", "#ffe14d", "#a8b4ff")
HEAT = np.array([(40, 0, 90), (200, 20, 90), (255, 120, 30), (255, 235, 90)], float)
HEAT_OPACITY = 0.75


def overlay(
    photo: Photo,
    saliency: Saliency,
    crops: Mapping[str, Crop],
    shown: Literal["saliency", "integrity"] = "saliency",
) -> Image.Image:
    """Draw a prediction over its photo.

    Args:
        photo: the photo that was predicted.
        saliency: its prediction.
        crops: frames to draw, by their labels ("16:9", say).
        shown: the map: where people look, or what a cut spoils.

    Returns:
        An RGB picture of at most `LONGEST_SIDE` pixels a side.

    Raises:
        gazecrop.InvalidArgument: the photo cannot be decoded, or the prediction has no such map.
    """
    values = {"saliency": saliency.density, "integrity": saliency.integrity}.get(shown)
    if values is None:
        raise InvalidArgument(f"this prediction has no map of {shown!r} to show")
    picture = upright(photo).convert("RGB")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    picture = _with_heat(picture, values / max(values.max(), np.finfo(np.float32).tiny))
    draw = ImageDraw.Draw(picture)
    scale = picture.width / saliency.size[0]
    line = max(2, round(max(picture.size) / 300))
    coloured = list(zip(crops.items(), itertools.cycle(FRAME_COLOURS), strict=False))
    for (_, crop), colour in coloured:
        _draw_frame(draw, crop, colour, scale, line)
    for index, ((label, crop), colour) in enumerate(coloured):
        # Frames often share a corner, so each label stands one line lower than the one before.
        corner = crop.rect.left * scale, crop.rect.top * scale + index * 11 * line
        _draw_label(draw, corner, f"{label}  {crop.kept:.0%}", colour, line)
    x, y = (coordinate * scale for coordinate in saliency.salient_point)
    for radius, colour in ((4 * line, "black"), (3 * line, "white"), (1.5 * line, "#e6194b")):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return picture


def _with_heat(picture: Image.Image, values: NDArray[np.float32]) -> Image.Image:
    """Cool where the values 0–1 are low and hot where high; at 0 the photo shows through."""
    heat = Image.fromarray(values).resize(picture.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(heat), 0, 1) ** 0.5
    steps = np.linspace(0, 1, len(HEAT))
    colour = np.stack([np.interp(level, steps, channel) for channel in HEAT.T], axis=-1)
    opacity = HEAT_OPACITY * level[..., None]
    mixed = np.asarray(picture) * (1 - opacity) + colour * opacity
    return Image.fromarray(mixed.round().astype(np.uint8))


def _draw_frame(
    draw: ImageDraw.ImageDraw, crop: Crop, colour: str, scale: float, line: int
) -> None:
    rect = crop.rect
    left, top, right, bottom = (
        round(side * scale) for side in (rect.left, rect.top, rect.right, rect.bottom)
    )
    draw.rectangle((left, top, right - 1, bottom - 1), outline="black", width=line + 2)
    draw.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline=colour, width=line)


def _draw_label(
    draw: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, colour: str, line: int
) -> None:
    font = ImageFont.load_default(size=6 * line + 4)
    start = corner[0] + 3 * line, corner[1] + 3 * line
    left, top, right, bottom = draw.textbbox(start, text, font=font)
    draw.rectangle((left - line, top - line, right + line, bottom + line), fill="black")
    draw.text(start, text, font=font, fill=colour)
