"""Measure a map of heads or text as a detector: what it finds, and how much of it is real.

    python -m training.evaluation.detection --photos FOLDER --boxes FILE.csv [--student CHECKPOINT]

measures the detectors that the student learns from, or a student. FILE.csv has a row for each head:
image, left, top, width, height in pixels, and perhaps `view` (frontal, profile, back). A head is
found if the map's mean over the inner half of its box, half as wide and as high, reaches a
threshold. Precision is the share of the map at or above the threshold that lies on a labelled box.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.examples import FINE_GRID
from training.data.fixations import read_pixels
from training.data.framing import frame
from training.detectors import heads
from training.detectors.maps import head_map
from training.evaluation.tables import rows_markdown
from training.networks import student
from training.progress import track

Map = NDArray[np.float32]  # [h, w] over the whole photo, 0–1
Finder = Callable[[NDArray[np.uint8]], Map]

SIZES = (0.0, 0.06, 0.1, 0.2, np.inf)  # of a head's height, as shares of the photo's
THRESHOLDS = (0.25, 0.5, 0.75)
COLUMNS = ("image", "left", "top", "width", "height")


@dataclass(frozen=True)
class Label:
    box: NDArray[np.float64]  # left, top, right, bottom as shares of the photo
    view: str = ""


@dataclass(frozen=True)
class Found:
    """Counts of the heads of one kind."""

    heads: int
    found: int

    @property
    def recall(self) -> float:
        return self.found / self.heads if self.heads else float("nan")


@dataclass(frozen=True)
class Detection:
    """How good a detector is at one threshold."""

    threshold: float
    precision: float  # NaN if nothing was found
    recall: dict[tuple[str, str], Found]  # by size and view


def read_boxes(table: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of a table of boxes, by image.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lacks a column, or a box holds no number.
    """
    rows = defaultdict(list)
    with table.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                [float(row[column]) for column in COLUMNS[1:]]
                rows[row["image"]].append(row)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{table}, line {number}: no {','.join(COLUMNS)}") from error
    return dict(rows)


def labels(rows: Iterable[dict[str, str]], size: tuple[int, int]) -> list[Label]:
    """The labelled boxes of a photo of this width and height."""
    found = []
    for row in rows:
        left, top, width, height = (float(row[column]) for column in COLUMNS[1:])
        corners = np.array([left, top, left + width, top + height])
        found.append(Label(corners / np.tile(size, 2), row.get("view") or ""))
    return found


def detection(
    maps: Sequence[Map], labelled: Sequence[Sequence[Label]], threshold: float
) -> Detection:
    """Recall and precision over photos, each with its map and its labels."""
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    real = total = 0.0
    for map_, boxes in zip(maps, labelled, strict=True):
        sure = np.where(map_ >= threshold, map_, 0)
        total += float(sure.sum())
        real += float((sure * covered(boxes, map_.shape)).sum())
        for label in boxes:
            size = size_name(label.box[3] - label.box[1])
            counts[size, label.view].append(mean_inside(map_, inner_half(label.box)) >= threshold)
    recall = {kind: Found(len(hits), sum(hits)) for kind, hits in sorted(counts.items())}
    return Detection(threshold, real / total if total else float("nan"), recall)


def agreement(predicted: Map, reference: Map) -> tuple[float, float]:
    """Recall and precision of a map against another of the same shape, both soft.

    The share of the reference that the prediction holds, and the reverse: the sum of the smaller
    values over the sum of either (NaN where that is 0). For text, whose lines no table labels.
    """
    shared = float(np.minimum(predicted, reference).sum())
    sums = float(reference.sum()), float(predicted.sum())
    recall, precision = (shared / total if total else float("nan") for total in sums)
    return recall, precision


def size_name(height: float) -> str:
    """The class of a head whose height is this share of the photo's."""
    upper = int(np.searchsorted(SIZES, height, side="right"))
    low, high = SIZES[upper - 1], SIZES[upper]
    return f"≥ {low:.0%}" if high == np.inf else f"{low:.0%}–{high:.0%}"


def covered(boxes: Iterable[Label], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which cells [h, w] touch a box."""
    cells = np.zeros(shape, bool)
    for label in boxes:
        left, top = np.clip(np.floor(label.box[:2] * shape[::-1]), 0, None).astype(int)
        right, bottom = np.clip(np.ceil(label.box[2:] * shape[::-1]), 0, None).astype(int)
        cells[top:bottom, left:right] = True
    return cells


def inner_half(box: NDArray[np.float64]) -> NDArray[np.float64]:
    centre = np.tile((box[:2] + box[2:]) / 2, 2)
    return (box + centre) / 2


def mean_inside(map_: Map, box: NDArray[np.float64]) -> float:
    """The mean of a map [h, w] within a box, which may cut cells; beyond the photo it is 0."""
    height, width = map_.shape
    down = _overlap(box[1] * height, box[3] * height, height)
    across = _overlap(box[0] * width, box[2] * width, width)
    area = (box[3] - box[1]) * height * (box[2] - box[0]) * width
    return float(down @ map_ @ across / area)


def _overlap(start: float, end: float, cells: int) -> NDArray[np.float64]:
    """How much of each cell of length 1 lies between start and end."""
    first = np.arange(cells)
    return np.clip(np.minimum(first + 1, end) - np.maximum(first, start), 0, 1)


def measure(find: Finder, photos: Path, table: Path) -> list[Detection]:
    """A finder of heads on labelled photos, at each of the thresholds.

    Raises:
        FileNotFoundError: a photo that the table names is missing.
        ValueError: the table or a photo cannot be read.
    """
    maps, labelled = [], []
    for image, rows in track(read_boxes(table).items(), "finding heads"):
        if not (photos / image).is_file():
            raise FileNotFoundError(f"{table} names {image}, which is not in {photos}")
        pixels = read_pixels(photos / image)
        maps.append(find(pixels))
        labelled.append(labels(rows, (pixels.shape[1], pixels.shape[0])))
    return [detection(maps, labelled, threshold) for threshold in THRESHOLDS]


def table_of(detections: Sequence[Detection]) -> str:
    """Recall by size and view, and precision, a column for each threshold (Markdown)."""
    rows = []
    for size, view in detections[0].recall:
        parts = [d.recall[size, view] for d in detections]
        recalls = [f"{part.recall:.2f}" for part in parts]
        rows.append([f"{size} {view}", str(parts[0].heads), *recalls])
    rows.append(["precision", "", *(f"{d.precision:.2f}" for d in detections)])
    return rows_markdown(["heads", "number", *(f"at {d.threshold}" for d in detections)], rows)


def detectors() -> Finder:
    """The detectors that the student's targets come from."""
    detector = heads.load()

    def find(pixels: NDArray[np.uint8]) -> Map:
        return head_map(detector.find(pixels), (pixels.shape[1], pixels.shape[0]), FINE_GRID)

    return find


def integrity_of(checkpoint: Path) -> Finder:
    """The second map of a student."""
    network = student.load(checkpoint)

    @torch.inference_mode()
    def find(pixels: NDArray[np.uint8]) -> Map:
        framed, extent = frame(pixels, network.sizes.canvas)
        _, integrity = network(torch.from_numpy(framed[None]), torch.from_numpy(extent[None]))
        return np.asarray(integrity[0].numpy())

    return find


def main() -> None:
    parser = argparse.ArgumentParser(description="measure what finds heads")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--boxes", type=Path, required=True, help="the heads in them, a CSV file")
    parser.add_argument("--student", type=Path, help="a checkpoint, in place of the detectors")
    args = parser.parse_args()
    finder = integrity_of(args.student) if args.student else detectors()
    print(table_of(measure(finder, args.photos, args.boxes)))


if __name__ == "__main__":
    main()
