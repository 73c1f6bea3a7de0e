"""Sets of photos whose fixations are published as blurred maps alone.

A set is a folder with `images/` and `maps/`: a grey picture for each photo, of the same name
but for the suffix and of any size, brighter where more people looked.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.fixations import read_pixels
from training.data.photos import find_photos


@dataclass(frozen=True)
class MappedPhoto:
    path: Path
    map_path: Path

    def pixels(self) -> NDArray[np.uint8]:
        """RGB [height, width, 3]."""
        return read_pixels(self.path)

    def human(self, width: int, height: int) -> NDArray[np.float32]:
        """The map on the photo's pixels, [height, width]; sums to 1.

        Raises:
            ValueError: the map cannot be read, or nobody looked anywhere.
        """
        grey = cv2.imread(str(self.map_path), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise ValueError(f"{self.map_path} cannot be read as an image")
        if not grey.any():
            raise ValueError(f"{self.map_path} is black: nobody looked anywhere")
        smaller = width * height < grey.size
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        values = cv2.resize(grey.astype(np.float32), (width, height), interpolation=method)
        return np.asarray(values / values.sum(dtype=float), np.float32)


def read_map_set(folder: Path) -> list[MappedPhoto]:
    """The photos of a set of maps, in the order of their names.

    Raises:
        FileNotFoundError: a folder, or the map of a photo, is missing.
        ValueError: the set holds no photo.
    """
    maps = {path.stem: path for path in find_photos([folder / "maps"])}
    photos = []
    for path in find_photos([folder / "images"]):
        if path.stem not in maps:
            raise FileNotFoundError(f"{path} has no map in {folder / 'maps'}")
        photos.append(MappedPhoto(path, maps[path.stem]))
    if not photos:
        raise ValueError(f"{folder / 'images'} holds no photo")
    return photos
