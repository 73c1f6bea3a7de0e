"""The largest head in each photo of a folder, by a table of boxes or by the detectors."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gazecrop
import numpy as np
from numpy.typing import NDArray

from training.data.fixations import read_pixels
from training.detectors import heads
from training.evaluation.cuts import read_boxes
from training.evaluation.portraits import Portrait

SURE = 0.5  # how sure the detectors have to be


def photos_in(folder: Path) -> list[Path]:
    """The photos of a folder, or of its `images`, by name.

    Raises:
        ValueError: there is none.
    """
    inside = folder / "images"
    inside = inside if inside.is_dir() else folder
    found = sorted(
        path for path in inside.glob("*") if path.suffix.lower() in gazecrop.PHOTO_SUFFIXES
    )
    if not found:
        raise ValueError(f"{inside} holds no photo")
    return found


def with_largest_head(folder: Path) -> Iterator[tuple[Path, Portrait | None]]:
    """Each photo with its largest head; None where it has none.

    A table `heads.csv` or `faces.csv` in the folder (`training.evaluation.cuts`) tells the heads;
    where there is none, the detectors do, which have to be installed (`make detectors`).

    Raises:
        FileNotFoundError: there is no table, and a detector is missing.
        ValueError: there is no photo, or a photo or the table cannot be read.
    """
    labelled = read_boxes(folder, "head")
    for path in photos_in(folder):
        pixels = read_pixels(path)
        boxes = found(pixels) if labelled is None else _corners(labelled.get(path.name))
        inside = boxes.clip(0, np.tile(pixels.shape[1::-1], 2))
        areas = (inside[:, 2:] - inside[:, :2]).prod(axis=1)
        yield path, Portrait(pixels, inside[areas.argmax()]) if areas.any() else None


def found(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The heads that the detectors are sure of, [n, 4]: left, top, right, bottom in pixels."""
    boxes = [head.box for head in _detector().find(pixels) if head.score >= SURE]
    return np.array(boxes, np.float64).reshape(-1, 4)


@cache
def _detector() -> heads.HeadDetector:
    return heads.load()


def _corners(boxes: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if boxes is None:
        return np.zeros((0, 4))
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
