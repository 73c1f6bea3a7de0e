"""Stage 4, integrity: targets of the student's second map, what no cut may spoil.

Detectors at full resolution say how much of each cell belongs to a head, hair and chin included,
and how much to a line of text. The maps are kept in `integrity.npy`, resumed where they stopped.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from training.data.examples import FINE_GRID
from training.data.fixations import read_pixels
from training.detectors import heads, text
from training.detectors.maps import head_map, text_map
from training.files import whole
from training.progress import track
from training.stages.run import Run

KINDS = ("head", "text")
CHUNK = 32  # photos between two saves


@dataclass(frozen=True)
class Detectors:
    heads: heads.HeadDetector
    text: text.TextDetector

    def maps(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """How much of each cell a head and a line of text cover, in the order of `KINDS`."""
        size = pixels.shape[1], pixels.shape[0]
        return (
            head_map(self.heads.find(pixels), size, FINE_GRID),
            text_map(self.text.find(pixels), size, FINE_GRID),
        )


def load_detectors() -> Detectors:
    """The detectors as published.

    Raises:
        FileNotFoundError: their packages are missing.
    """
    return Detectors(heads.load(), text.load())


def integrity_targets(run: Run) -> NDArray[np.float16]:
    """What a cut spoils in each of the training photos, [photos, kinds, grid, grid], 0–1.

    Raises:
        FileNotFoundError: the detectors' packages are missing.
        ValueError: the folder holds maps of other photos.
    """
    with run.fabric.rank_zero_first():  # the others then find all maps written
        return write_maps(run.folder, run.sources.training_paths)


def write_maps(
    folder: Path, photos: list[Path], load: Callable[[], Detectors] = load_detectors
) -> NDArray[np.float16]:
    """The maps of these photos, in `folder`; those that are there already are not made again."""
    maps = _opened(folder, photos)
    todo = np.flatnonzero(np.isnan(maps[:, 0, 0, 0]))
    if not len(todo):
        return np.asarray(maps)
    detectors = load()
    for done, index in enumerate(track(todo, "heads and text"), start=1):
        maps[index] = detectors.maps(read_pixels(photos[index]))
        if done % CHUNK == 0:
            maps.flush()
    maps.flush()
    return np.asarray(maps)


def _opened(folder: Path, photos: list[Path]) -> np.memmap[Any, np.dtype[np.float16]]:
    """The file of all maps; what is not made yet is NaN."""
    path, record = folder / "integrity.npy", folder / "integrity.json"
    names = [f"{photo.parent.parent.name}/{photo.name}" for photo in photos]
    if not record.exists():
        folder.mkdir(parents=True, exist_ok=True)
        maps = open_memmap(path, "w+", np.float16, (len(photos), len(KINDS), FINE_GRID, FINE_GRID))
        maps[:] = np.nan
        maps.flush()
        with whole(record) as file:
            file.write_text(json.dumps(names))
    elif json.loads(record.read_text()) != names:
        raise ValueError(f"{path} was made of other photos; remove {record} to start anew")
    return open_memmap(path, "r+")
