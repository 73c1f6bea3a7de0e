"""What a window cuts: heads and lines of text, next to what it keeps of the fixations.

A set tells the things in its photos by tables beside its fixations: `heads.csv` or `faces.csv`,
and `lines.csv`, with the columns `image,left,top,width,height` in pixels of that image. Heads may
have a column `view`; those seen from the `back` don't count, nor do things lower than `LOWEST` of
the photo's height. Lines may also be those that a detector finds (`found_lines`).

A window cuts a thing if 10 to 90 % of its box lie inside.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.fixations import read_pixels
from training.detectors import text
from training.detectors.maps import CHARACTERS
from training.evaluation.retention import RATIOS, Window
from training.evaluation.tables import Row, interval, resample_weights
from training.progress import track

TABLES = {"head": ("heads.csv", "faces.csv"), "line": ("lines.csv",)}
UNCUT = 0.1  # of a box, on either side of an edge
LOWEST = {"head": 0.06, "line": 0.02}  # of the photo's height
TALL = 0.1  # of the photo's height
FEW = 5  # things in a photo
DIFFERENCE = "difference in "  # starts the name of such a column

Boxes: TypeAlias = NDArray[np.float64]  # [n, 4]: left, top, width, height
Things: TypeAlias = Mapping[str, Mapping[str, Boxes]]  # of a set: by kind, then by photo


class Cuts(NamedTuple):
    """Of the things in one photo that count."""

    things: int
    cut: int
    whole: int  # more than 90 % inside
    tall: int  # at least a tenth of the photo's height
    tall_cut: int


def read_boxes(folder: Path, thing: str) -> dict[str, Boxes] | None:
    """The boxes of the "head"s or "line"s in a set's photos by name; None if it tells of none.

    Raises:
        ValueError: a row of the table lacks a column or holds no number.
    """
    tables = (folder / name for name in TABLES[thing])
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        return None
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    with table.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                box = [float(row[side]) for side in ("left", "top", "width", "height")]
                if not (box[2] > 0 and box[3] > 0):
                    raise ValueError
                if row.get("view") != "back":
                    boxes[row["image"]].append(box)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{table}, line {number}: no image and box") from error
    return {name: np.array(of_photo) for name, of_photo in boxes.items()}


def read_things(folder: Path) -> dict[str, dict[str, Boxes]]:
    """All that a set's tables tell.

    Raises:
        ValueError: as `read_boxes`.
    """
    told = {thing: read_boxes(folder, thing) for thing in TABLES}
    return {thing: boxes for thing, boxes in told.items() if boxes is not None}


def found_lines(photos: Iterable[Path]) -> dict[str, Boxes]:
    """The lines that PP-OCR finds and CRAFT is sure of, at full resolution, for want of a table.

    Raises:
        FileNotFoundError: the detectors are not installed (`make detectors`).
        ValueError: a photo cannot be read.
    """
    detector, boxes = text.load(), {}
    for path in track(list(photos), "lines of text"):
        lines = [line for line in detector.find(read_pixels(path)) if line.score >= CHARACTERS[1]]
        if lines:
            boxes[path.name] = np.array([cv2.boundingRect(line.outline) for line in lines], float)
    return boxes


def count_cuts(
    boxes: Boxes | None, size: tuple[int, int], window: Window, lowest: float = LOWEST["head"]
) -> Cuts:
    """What a window in a photo of size (width, height) does to the boxes [n, 4].

    Those lower than `lowest` of the photo's height don't count.
    """
    if boxes is None:
        return Cuts(0, 0, 0, 0, 0)
    boxes = boxes[boxes[:, 3] >= lowest * size[1]]
    starts, ends = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    corner = np.array(window[:2])
    inside = np.minimum(ends, corner + window[2:]) - np.maximum(starts, corner)
    shares = (inside.clip(0) / boxes[:, 2:]).prod(axis=1)
    cut = (shares >= UNCUT) & (shares <= 1 - UNCUT)
    tall = boxes[:, 3] >= TALL * size[1]
    counts = cut.sum(), (shares > 1 - UNCUT).sum(), tall.sum(), (cut & tall).sum()
    return Cuts(len(boxes), *map(int, counts))


def cut_row(cuts: Sequence[Sequence[Cuts]], thing: str) -> Row:
    """The columns of a table from the cuts of a cropper, [photos][ratios].

    Shares are means over ratios, of photos that have such a thing and of all such things, or of
    those in photos of `FEW` at most. That of photos also has a column for each ratio. The
    intervals are those of `training.evaluation.evaluate`. A share of nothing is NaN.
    """
    shares = _shares(cuts, thing)
    return {column: interval(values[0], values[1:]) for column, values in shares.items()}


def difference_row(
    cuts: Sequence[Sequence[Cuts]], others: Sequence[Sequence[Cuts]], thing: str
) -> Row:
    """A cropper's shares less another's on the same photos, which are resampled together."""
    shares, theirs = _shares(cuts, thing), _shares(others, thing)
    columns = (f"photos with a cut {thing}", f"{thing}s kept whole")
    differences = {column: shares[column] - theirs[column] for column in columns}
    return {column: interval(values[0], values[1:]) for column, values in differences.items()}


def _shares(cuts: Sequence[Sequence[Cuts]], thing: str) -> dict[str, NDArray[np.float64]]:
    """For each column of `cut_row` the share of all photos, then those of resamples."""
    counts = np.array(cuts, float)  # [photos, ratios, 5]
    weights = resample_weights(len(counts))
    things, cut, whole, tall, tall_cut = np.moveaxis(counts, -1, 0)
    few = (things <= FEW).astype(float)
    parts = {
        f"photos with a cut {thing}": (cut > 0, things > 0),
        f"{thing}s cut": (cut, things),
        f"tall {thing}s cut": (tall_cut, tall),
        f"few {thing}s cut": (cut * few, things * few),
        f"{thing}s kept whole": (whole, things),
    }
    for number, ratio in zip(range(counts.shape[1]), RATIOS, strict=False):
        of_ratio = slice(number, number + 1)
        parts[f"photos with a cut {thing} {ratio}"] = (
            cut[:, of_ratio] > 0,
            things[:, of_ratio] > 0,
        )
    with np.errstate(invalid="ignore"):
        return {
            column: ((weights @ part) / (weights @ whole)).mean(axis=1)
            for column, (part, whole) in parts.items()
        }


def cut_columns(
    things: Things,
    windows: Mapping[str, Sequence[Sequence[Window]]],
    photos: Sequence[tuple[str, tuple[int, int]]],
    against: str | None = None,
) -> dict[str, Row]:
    """For each cropper, the columns of all things.

    Args:
        things: what is in the photos.
        windows: of each cropper, [photos][ratios].
        photos: name and (width, height) of each photo.
        against: a cropper, whose shares less each other's are `DIFFERENCE` columns more.
    """
    rows: dict[str, Row] = {name: {} for name in windows}
    for thing, boxes in things.items():
        cuts = {
            name: [
                [count_cuts(boxes.get(image), size, rect, LOWEST[thing]) for rect in of_ratios]
                for (image, size), of_ratios in zip(photos, of_photos, strict=True)
            ]
            for name, of_photos in windows.items()
        }
        for name in windows:
            rows[name] |= cut_row(cuts[name], thing)
            if against is not None and name != against:
                differences = difference_row(cuts[against], cuts[name], thing)
                rows[name] |= {DIFFERENCE + column: of for column, of in differences.items()}
    return rows
