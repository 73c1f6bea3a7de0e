"""Pillow's modes: those that neighbouring pixels can be mixed in, and those of 8 bits."""

import numpy as np
from PIL import Image, ImageCms


def resizable(image: Image.Image) -> Image.Image:
    """The picture in a mode in which Pillow can mix neighbouring pixels."""
    if image.mode in ("P", "1", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def in_8_bits(image: Image.Image) -> Image.Image:
    """Wide values, whose range is told by none, spread over 0–255; LAB as RGB."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    if image.mode.startswith("I;16"):
        most = 65535.0
    else:
        largest = float(values.max())
        most = next((most for most in (1.0, 255.0, 65535.0) if largest <= most), largest)
    return Image.fromarray((values.clip(0, most) * (255 / most)).astype(np.uint8))
