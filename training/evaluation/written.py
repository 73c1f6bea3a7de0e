"""Photos with words written into them, at known places: labels for want of a labelled set.

Lines are `SIZES` of the photo's height, in several fonts, as much lighter or darker than what they
are written on as `CONTRASTS` say. They are sharper, straighter and plainer than signs in photos.
"""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.evaluation.labels import Label

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono", "STIXGeneral")
SIZES = (0.032, 0.15)  # of the photo's height, from the highest to the lowest pixel of a line
CONTRASTS = {"strong": 0.6, "medium": 0.35, "faint": 0.15}  # of white, from what is under the words
LINES = 2  # in a photo
TINT = 30  # of 255: how far a word's colours lie from grey
VISIBLE = 64  # of 255: what of a pixel's edge counts as the letter's
TRIES = 20  # until a line has a place
WORDS = "OPEN Closed today Bakery 24 hours Fresh coffee SALE Station Road No parking Hotel Museum"


def with_words(
    pixels: NDArray[np.uint8], random: np.random.Generator
) -> tuple[NDArray[np.uint8], list[Label]]:
    """An RGB photo with lines of words, and where they are; small photos may have room for none.

    Each label's `view` is its contrast.
    """
    picture, labels = Image.fromarray(pixels), list[Label]()
    for _ in range(LINES):
        for _ in range(TRIES):
            contrast = str(random.choice(list(CONTRASTS)))
            mask = _line(picture.height, random)
            room = np.array(picture.size) - mask.size
            if (room < 0).any():
                continue
            left, top = (int(value) for value in random.integers(0, room + 1))
            corners = np.array([left, top, left + mask.width, top + mask.height])
            box = corners / np.tile(picture.size, 2)
            if any(_meet(box, label.box) for label in labels):
                continue
            under = np.asarray(picture.crop(tuple(corners.tolist())).convert("L"), float) / 255
            colour = _colour(float(under.mean()), CONTRASTS[contrast], random)
            picture.paste(colour, (left, top), mask)
            labels.append(Label(box, contrast))
            break
    return np.asarray(picture), labels


def _line(height: int, random: np.random.Generator) -> Image.Image:
    """One to three words as a mask, 8-bit, cut to their pixels."""
    words = WORDS.split()
    first, count = random.integers(len(words) - 2), random.integers(1, 4)
    text = " ".join(words[first : first + count])
    wanted = round(np.exp(random.uniform(*np.log(SIZES))) * height)
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{random.choice(FONTS)}.ttf"
    probe = ImageFont.truetype(str(file), 100).getbbox(text)
    font = ImageFont.truetype(str(file), max(4, round(100 * wanted / (probe[3] - probe[1]))))
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, font)
    return mask.crop(mask.point(lambda value: value > VISIBLE and 255).getbbox())


def _colour(under: float, contrast: float, random: np.random.Generator) -> tuple[int, ...]:
    """A colour lighter than grey of 0–1 where it is dark, and darker where it is light."""
    grey = under + contrast if under < 0.5 else under - contrast
    tint = random.integers(-TINT, TINT + 1, 3)
    return tuple(int(value) for value in np.clip(np.round(grey * 255) + tint - tint.mean(), 0, 255))


def _meet(box: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool((np.maximum(box[:2], other[:2]) < np.minimum(box[2:], other[2:])).all())
