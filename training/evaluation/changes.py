"""The same head in another light, of another skin tone, or less sharp; all else as it was."""

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.detection import inner_half
from training.evaluation.portraits import Portrait

Floats: TypeAlias = NDArray[np.float32]

GAMMA = 2.2  # of the pixels, near enough
STOP = 1.0  # one is twice or half of the light
TONE = 15.0  # of L*, which goes from 0 to 100: about two steps of Monk's ten skin tones
CHROMA, LIGHTNESS = 10.0, 20.0  # how far skin is from the middle of the face, in Lab (one sigma)
BLUR = 1 / 24  # of the head's height, one sigma


def lit(portrait: Portrait, stops: float) -> Portrait:
    """The head in 2^stops of the light."""
    light = (portrait.pixels / np.float32(255)) ** GAMMA * 2**stops
    return _replaced(portrait, light.clip(0, 1) ** (1 / GAMMA), head_mask(portrait))


def toned(portrait: Portrait, lightness: float) -> Portrait:
    """Skin, and what in the head has its colour, lighter or darker by so much L*."""
    lab = _lab(portrait)
    lab[..., 0] = (lab[..., 0] + lightness).clip(0, 100)
    return _replaced(portrait, cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), skin_mask(portrait))


def blurred(portrait: Portrait) -> Portrait:
    """The head out of focus."""
    sigma = float(portrait.head[3] - portrait.head[1]) * BLUR
    soft = cv2.GaussianBlur(portrait.pixels / np.float32(255), (0, 0), sigma)
    return _replaced(portrait, soft, head_mask(portrait))


CHANGES: dict[str, Callable[[Portrait], Portrait]] = {
    "half the light": lambda portrait: lit(portrait, -STOP),
    "twice the light": lambda portrait: lit(portrait, STOP),
    "darker skin": lambda portrait: toned(portrait, -TONE),
    "lighter skin": lambda portrait: toned(portrait, TONE),
    "out of focus": blurred,
}


def head_mask(portrait: Portrait) -> Floats:
    """1 in the ellipse that fills the head's box, 0 outside, soft between: [height, width]."""
    height, width = portrait.pixels.shape[:2]
    left, top, right, bottom = portrait.head
    across = (np.arange(width) + 0.5 - (left + right) / 2) / ((right - left) / 2)
    down = (np.arange(height) + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2)
    radius = np.hypot(down[:, None], across[None, :])
    return np.asarray(((1 - radius) / 0.15).clip(0, 1), np.float32)


def skin_mask(portrait: Portrait) -> Floats:
    """Where in the head the colour is near that of the middle of the face: [height, width]."""
    lab = _lab(portrait)
    inner = head_mask(Portrait(portrait.pixels, inner_half(portrait.head))) > 0
    middle = np.median(lab[inner], axis=0)
    distance = (lab - middle) / (LIGHTNESS, CHROMA, CHROMA)
    near = np.exp(-(distance**2).sum(axis=2) / 2)
    smooth = cv2.GaussianBlur(near.astype(np.float32), (0, 0), 1)
    return np.asarray(smooth * head_mask(portrait), np.float32)


def _lab(portrait: Portrait) -> Floats:
    return np.asarray(cv2.cvtColor(portrait.pixels / np.float32(255), cv2.COLOR_RGB2LAB))


def _replaced(portrait: Portrait, values: NDArray[Any], mask: Floats) -> Portrait:
    """The portrait with other pixels (0–1) where the mask is 1."""
    old = portrait.pixels.astype(np.float32)
    mixed = old + (np.asarray(values, np.float32) * 255 - old) * mask[..., None]
    return Portrait(np.asarray(mixed.round().clip(0, 255), np.uint8), portrait.head)
