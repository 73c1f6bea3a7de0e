"""Photos without fixations, and which of them are nearly the same.

Distillation learns from any photo. If one of them is also a validation photo, perhaps cut a
little, mirrored or compressed anew, the student would be tested on what it has seen; so such
photos are dropped, by a perceptual hash.

How many of the 64 bits may differ was measured on OSIE's and Scene's 238 validation photos.
The share of changed copies that is found, and the nearest of 4,872 other photos:

    bits                               6       8      10      12
    recompressed, small, brighter    100 %   100 %   100 %   100 %
    2 % cut off, centred             100 %   100 %   100 %   100 %
    2 % cut off, at one corner        87 %    97 %   100 %   100 %
    5 % cut off, centred              66 %    85 %    97 %    99 %
    other photos                       0       0       0       2
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.fixations import read_pixels
from training.progress import track

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
FREQUENCIES = 8  # 8 × 8 of them give the hash its 64 bits
SIDE = 32  # the photo is hashed at this size


def find_photos(folders: list[Path]) -> list[Path]:
    """All photos in these folders and the folders inside, sorted.

    Raises:
        FileNotFoundError: a folder is missing.
    """
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not a folder")
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES)


def perceptual_hash(pixels: NDArray[np.uint8]) -> int:
    """64 bits that small changes of a photo, [height, width, 3] or [height, width], hardly move.

    pHash (Zauner, 2010): each bit says whether one of the lowest frequencies is above their
    median. The mean brightness is no such frequency: it says nothing of the picture.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    lowest = np.asarray(cv2.dct(small))[1 : FREQUENCIES + 1, 1 : FREQUENCIES + 1]
    bits = np.packbits(lowest > np.median(lowest))
    return int.from_bytes(bits.tobytes(), "big")


def drop_near_duplicates(
    photos: list[Path], validation: list[Path], distance: int = 10
) -> list[Path]:
    """The photos that are no near-duplicate of a validation photo or of its mirror image.

    Args:
        distance: so many of the 64 bits may differ between near-duplicates.

    Raises:
        ValueError: a file cannot be read as an image.
    """
    held_out = [
        perceptual_hash(np.ascontiguousarray(view))
        for path in track(validation, "hashing validation photos")
        for pixels in [read_pixels(path)]
        for view in (pixels, pixels[:, ::-1])
    ]
    hashes = [perceptual_hash(read_pixels(path)) for path in track(photos, "hashing photos")]
    if not held_out:
        return photos
    near = _bits_apart(hashes, held_out).min(axis=1) <= distance
    return [path for path, is_near in zip(photos, near, strict=True) if not is_near]


def _bits_apart(one: list[int], other: list[int]) -> NDArray[np.int64]:
    """The number of bits in which hashes differ, [len(one), len(other)]."""
    signs = [
        np.unpackbits(np.array(hashes, np.uint64).view(np.uint8).reshape(-1, 8), axis=1) * 2.0 - 1
        for hashes in (one, other)
    ]
    return ((64 - signs[0] @ signs[1].T) / 2).astype(np.int64)
