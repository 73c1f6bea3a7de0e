"""BMP, by Pillow."""

import io

import shrinking
from PIL import Image
from source import Pixels, Source

PIXEL = 5  # bytes that decoding holds: of a palette's index, and of the colours


def read(data: bytes) -> Source:
    """Read a BMP's header. Where it is damaged this raises anything."""
    image = Image.open(io.BytesIO(data), formats=["BMP"])
    return Source(
        "BMP",
        image.size,
        lambda height, width: _decode(data, height, width),
        memory=PIXEL * image.width * image.height,
    )


def _decode(data: bytes, height: int, width: int) -> Pixels:
    image = Image.open(io.BytesIO(data), formats=["BMP"])
    (tile,) = image.tile
    if tile.codec_name == "raw":
        stride = tile.args[1]
        missing = tile.offset + stride * image.height - len(data)
        if missing > 0:
            shrinking.check_rows((len(data) - tile.offset) // stride, image.height)
            grey = missing * bytes([shrinking.LOST])
            image = Image.open(io.BytesIO(data + grey), formats=["BMP"])
    return shrinking.of_pillow(image, height, width)
