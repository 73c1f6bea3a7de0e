"""AVIF by Pillow, and HEIC by pillow-heif. Their own properties say how they are turned."""

import io
import re

import numpy as np
import pillow_heif
import shrinking
from directories import orientation
from PIL import AvifImagePlugin, Image
from source import Pixels, Source

BRANDS = {
    "AVIF": re.compile(rb"....ftyp(?:....){0,16}?avi[fs]", re.DOTALL),
    "HEIC": re.compile(rb"....ftyp(?:....){0,16}?he(?:ic|ix|im|is|vc|vx|vm|vs)", re.DOTALL),
}
# An item's entry, and a coding's properties: of AV1, the bits that tell its samples
METADATA = re.compile(rb"(infe.{8})(?:Exif|mime)", re.DOTALL)
AV1 = re.compile(rb"av1C..(.)", re.DOTALL)
HIGH_DEPTH, MONOCHROME, HALF_ACROSS, HALF_DOWN = 0x40, 0x10, 0x08, 0x04
MAX_ITEMS = 100
REFERENCES = 1.2  # how much more than the samples a decoder holds
RGB, RGBX = 3, 4  # bytes of a pixel, as converted and as Pillow keeps it
HEIC_PIXEL = 5.3  # bytes that decoding holds

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the instances share the cores already
pillow_heif.options.DECODE_THREADS = 1
pillow_heif.options.THUMBNAILS = False


def read_avif(data: bytes) -> Source:
    """Read an AVIF's header. Where it is damaged this raises anything."""
    data = METADATA.sub(rb"\1skip", data, count=MAX_ITEMS)  # malformed EXIF would be in the way
    image = Image.open(io.BytesIO(data), formats=["AVIF"])
    return Source(
        "AVIF",
        image.size,
        lambda height, width: shrinking.of_pillow(image, height, width),
        orientation(image.info.get("exif", b"")),  # which Pillow makes of the file's properties
        memory=round(image.width * image.height * _pixel(data, image.has_transparency_data)),
    )


def _pixel(data: bytes, has_alpha: bool) -> float:
    """Bytes that decoding a pixel of an AVIF holds."""
    coding = AV1.search(data)
    bits = coding[1][0] if coding else HIGH_DEPTH
    colours = 0.0 if bits & MONOCHROME else 2.0
    for half in (HALF_ACROSS, HALF_DOWN):
        colours /= 2 if bits & half else 1
    samples = (1 + colours + has_alpha) * (2 if bits & HIGH_DEPTH else 1)
    converted = 2 * RGBX + RGBX if has_alpha else RGB + RGBX
    return REFERENCES * samples + converted


def read_heic(data: bytes) -> Source:
    """Read a HEIC's header. Where it is damaged this raises anything."""
    file = pillow_heif.open_heif(data)

    def decode(height: int, width: int) -> Pixels:
        pixels = np.asarray(file)[:, : file.size[0]]
        return shrinking.of_array(pixels, file.info.get("icc_profile"), height, width)

    pixel = HEIC_PIXEL + (1 + RGBX - RGB) * file.has_alpha
    return Source("HEIC", file.size, decode, memory=round(file.size[0] * file.size[1] * pixel))
