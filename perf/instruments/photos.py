"""Photos to upload: real JPEGs of any size, made from the sample photo in docs/."""

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

PHOTO = Path(__file__).parents[2] / "docs" / "photo.jpg"
QUALITY = 90
# An enlarged photo is smooth and decodes faster than one from a camera. Noise of this strength,
# in grey levels, brings it to a camera's 0.25–0.35 bytes per pixel.
NOISE = 5.0


@cache
def jpeg(megapixels: float, turn: Image.Transpose | None = None) -> bytes:
    """The sample photo, turned, as a camera of so many megapixels would store it."""
    with Image.open(PHOTO) as sample:
        photo = sample if turn is None else sample.transpose(turn)
        scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        size = round(photo.width * scale), round(photo.height * scale)
        pixels = np.asarray(photo.resize(size, Image.Resampling.BICUBIC), np.float32)
    # The same for red, green and blue: cameras store hardly any noise of colour.
    noise = np.random.default_rng(0).standard_normal((*pixels.shape[:2], 1), np.float32)
    noisy = np.rint(pixels + NOISE * noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def turned(megapixels: float) -> list[bytes]:
    """Eight photos where people look in other places: the sample turned and mirrored."""
    return [jpeg(megapixels, turn) for turn in (None, *Image.Transpose)]
