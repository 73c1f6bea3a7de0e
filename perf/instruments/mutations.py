"""Small photos in every format, and damages to them: what a decoder must not die of."""

import io
import random
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image

from perf.instruments.photos import PHOTO

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
METADATA = {
    "JPEG": (b"\xff\xe0", b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xee", b"\xff\xfe"),
    "PNG": (
        b"eXIf",
        b"iCCP",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"pHYs",
        b"gAMA",
        b"cHRM",
        b"acTL",
        b"tRNS",
    ),
}


def seeds() -> list[bytes]:
    """A small photo in each format and way of keeping its pixels."""
    pillow_heif.register_heif_opener()
    with Image.open(PHOTO) as photo:
        image = photo.convert("RGB").resize((96, 64))
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    forms: list[tuple[Image.Image, str, dict[str, object]]] = [
        (image, "JPEG", {"exif": exif, "comment": b"by whom"}),
        (image, "JPEG", {"progressive": True, "icc_profile": bytes(36) + b"acsp" + bytes(100)}),
        (image, "JPEG", {"subsampling": 0, "restart_marker_rows": 1}),
        (image.convert("L"), "JPEG", {}),
        (image.convert("CMYK"), "JPEG", {}),
        (image, "PNG", {"exif": exif}),
        (alpha, "PNG", {}),
        (image.quantize(64), "PNG", {"transparency": 3}),
        (wide, "PNG", {}),
        (image.convert("1"), "PNG", {}),
        (image, "WEBP", {"exif": exif.tobytes()}),
        (alpha, "WEBP", {}),
        (alpha, "WEBP", {"lossless": True}),
        (image, "WEBP", {"save_all": True, "append_images": [alpha]}),
        (image, "GIF", {"save_all": True, "append_images": [image.rotate(90)]}),
        (alpha, "GIF", {}),
        (image, "BMP", {}),
        (image.quantize(16), "BMP", {}),
        (image, "TIFF", {"exif": exif}),
        (alpha, "TIFF", {"compression": "tiff_lzw"}),
        (image, "TIFF", {"compression": "jpeg"}),
        (image.convert("1"), "TIFF", {"compression": "group4"}),
        (wide, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (image.convert("F"), "TIFF", {}),
        (image.convert("CMYK"), "TIFF", {}),
        (image, "AVIF", {"exif": exif}),
        (alpha, "AVIF", {}),
        (image, "HEIF", {"exif": exif}),
    ]
    files = []
    for picture, format, options in forms:
        file = io.BytesIO()
        picture.save(file, format, **options)
        files.append(file.getvalue())
    return files


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to eight damages, more often in the header."""
    file = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        reach = len(file) if chance.random() < 0.5 else min(len(file), 300)
        at = chance.randrange(reach) if reach else 0
        length = min(chance.choice((1, 2, 4, 16, 100)), len(file) - at)
        match chance.randrange(8):
            case 0:
                file[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                width = chance.choice((1, 2, 4))
                number = chance.choice(INTERESTING) & (256**width - 1)
                file[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))
            case 2:
                del file[at : at + length]
            case 3:
                file[at:at] = chance.randbytes(length)
            case 4:
                file[at:at] = file[at : at + length] * chance.choice((1, 2, 50))
            case 5:
                del file[at:]
            case 6:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                file[at : at + length] = other[start : start + length]
            case 7:
                file[at : at + length] = bytes(length)
    return bytes(file)


def with_metadata(data: bytes, chance: random.Random) -> bytes:
    """A JPEG or PNG with a malformed segment or chunk more."""
    content = chance.randbytes(chance.choice((0, 1, 2, 4, 8, 9, 33, 200)))
    start = chance.choice(
        (b"", b"Exif\0\0II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"ICC_PROFILE\0\1\1")
    )
    if data.startswith(b"\xff\xd8"):
        content = start + content
        marker = chance.choice(METADATA["JPEG"])
        return data[:2] + marker + struct.pack(">H", len(content) + 2) + content + data[2:]
    if data.startswith(b"\x89PNG"):
        kind = chance.choice(METADATA["PNG"])
        content = chance.choice((b"", b"name\0\0", b"II*\0\x08\0\0\0")) + content
        check = zlib.crc32(kind + content) if chance.random() < 0.8 else 0
        chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
        return data[:33] + chunk + data[33:]
    return data
