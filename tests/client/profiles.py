"""ICC profiles, and what a colour-managed viewer shows of a file."""

import io
import itertools
import struct

import numpy as np
from gazecrop._chromaticities import profile_of
from numpy.typing import NDArray
from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
P3 = profile_of((0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060), 2.2) or b""
ADOBE = profile_of((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2.2) or b""


def grey(gamma: float) -> bytes:
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve})


def cmyk() -> bytes:
    """Inks that print as the RGB of `printed`, mixed in straight lines."""
    corners = [(c, m, y, k) for c, m, y, k in itertools.product((0, 1), repeat=4)]
    colours = Image.fromarray(np.array([[printed(*corner) for corner in corners]], np.uint8))
    lab = ImageCms.profileToProfile(colours, SRGB, ImageCms.createProfile("LAB"), 1, "LAB")
    assert lab
    table = np.array(lab)[0]
    table[:, 1:] ^= 128  # Pillow's a and b are signed, those of profiles start at 128
    straight = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (number % 4 == 0) for number in range(9)))
    a2b = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix
    return _profile(
        b"CMYK", b"Lab ", {b"A2B0": a2b + 4 * straight + table.tobytes() + 3 * straight}
    )


def printed(c: int, m: int, y: int, k: int) -> tuple[int, int, int]:
    """The RGB of inks that are wholly there or not; far from 255 less each."""
    keep = 1 - 0.8 * k
    return (
        round((255 - 215 * c) * keep),
        round((255 - 175 * m) * keep),
        round((255 - 195 * y) * keep),
    )


def in_space(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    """The same colours, as a file with this profile writes them."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    written = ImageCms.profileToProfile(image, SRGB, target, 1, mode)
    assert written
    return written


def seen(file: bytes) -> NDArray[np.int64]:
    """[h, w, 3] in sRGB, transparent parts on white."""
    image = Image.open(io.BytesIO(file))
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    image = image.convert("RGB")
    if profile:
        told = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, told, SRGB, 1, "RGB") or image
    return np.asarray(image).astype(int)


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag
    size, device = start + len(body), b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, device, space, connection, b"acsp")
    white = struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(68, b"\0") + white.ljust(60, b"\0") + table + body
