"""Measure a map of heads or text as a detector: what it finds, and how much of it is real.

    python -m training.evaluation.detection --photos FOLDER --boxes FILE.csv [--student CHECKPOINT]
    python -m training.evaluation.detection --write-words SET … [--student CHECKPOINT]
    python -m training.evaluation.detection --find-lines SET … [--student CHECKPOINT]

measures the detectors that the student learns from, or a student. FILE.csv has a row for each head:
image, left, top, width, height in pixels, and perhaps `view` (frontal, profile, back). With
--write-words lines of text are written into those validation photos of fixation sets in which the
detectors find neither head nor line (`training.evaluation.written`); with --find-lines they are
those that the detectors find there and CRAFT is sure of.

A head or line is found if the map's mean over the inner half of its box, half as wide and as high,
reaches a threshold. Precision is the share of the map at or above the threshold that lies on a
labelled box; what lies on heads counts against the lines that are found, as no label tells of them.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.examples import FINE_GRID
from training.data.fixations import read_fixation_set, read_pixels, split
from training.data.framing import frame
from training.detectors import heads, text
from training.detectors.maps import CHARACTERS, head_map, text_map
from training.evaluation.labels import Label
from training.evaluation.tables import rows_markdown
from training.evaluation.written import with_words
from training.networks import student
from training.progress import track

Map = NDArray[np.float32]  # [h, w] over the whole photo, 0–1
Pixels = NDArray[np.uint8]  # RGB [height, width, 3]
Finder = Callable[[Pixels], Map]
Example = tuple[Pixels, list[Label]]

# Of the height of what is found, as shares of the photo's.
SIZES = (0.0, 0.06, 0.1, 0.2, np.inf)
LINE_SIZES = (0.0, 0.03, 0.05, 0.08, np.inf)
THRESHOLDS = (0.25, 0.5, 0.75)
VERSIONS = 4  # of a photo with words written into it
COLUMNS = ("image", "left", "top", "width", "height")


@dataclass(frozen=True)
class Found:
    """Counts of the things of one kind."""

    things: int
    found: int

    @property
    def recall(self) -> float:
        return self.found / self.things if self.things else float("nan")


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
    maps: Sequence[Map],
    labelled: Sequence[Sequence[Label]],
    threshold: float,
    sizes: Sequence[float] = SIZES,
) -> Detection:
    """Recall, by these sizes, and precision over photos, each with its map and its labels."""
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    real = total = 0.0
    for map_, boxes in zip(maps, labelled, strict=True):
        sure = np.where(map_ >= threshold, map_, 0)
        total += float(sure.sum())
        real += float((sure * covered(boxes, map_.shape)).sum())
        for label in boxes:
            size = size_name(label.box[3] - label.box[1], sizes)
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


def size_name(height: float, sizes: Sequence[float] = SIZES) -> str:
    """The class of a thing whose height is this share of the photo's."""
    upper = int(np.searchsorted(sizes, height, side="right"))
    low, high = sizes[upper - 1], sizes[upper]
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


def labelled_photos(photos: Path, table: Path) -> Iterator[Example]:
    """The photos that a table of boxes names, with their labels.

    Raises:
        FileNotFoundError: a photo that the table names is missing.
        ValueError: the table or a photo cannot be read.
    """
    for image, rows in track(read_boxes(table).items(), "photos"):
        if not (photos / image).is_file():
            raise FileNotFoundError(f"{table} names {image}, which is not in {photos}")
        pixels = read_pixels(photos / image)
        yield pixels, labels(rows, (pixels.shape[1], pixels.shape[0]))


def photos_with_words(folders: Iterable[Path]) -> Iterator[Example]:
    """Validation photos that hold neither head nor line, with words written into them.

    Each comes `VERSIONS` times, with other words in other places.
    """
    random, people, words = np.random.default_rng(0), heads.load(), text.load()
    for pixels in validation_photos(folders):
        if not people.find(pixels) and not words.find(pixels):
            for _ in range(VERSIONS):
                yield with_words(pixels, random)


def photos_with_lines(folders: Iterable[Path]) -> Iterator[Example]:
    """Validation photos with the lines of text that the detectors are sure of."""
    detector = text.load()
    for pixels in validation_photos(folders):
        size = np.tile(pixels.shape[1::-1], 2)
        sure = [line for line in detector.find(pixels) if line.score >= CHARACTERS[1]]
        corners = [[*line.outline.min(0), *line.outline.max(0) + 1] for line in sure]
        if corners:
            yield pixels, [Label(np.array(box) / size) for box in corners]


def validation_photos(folders: Iterable[Path]) -> Iterator[Pixels]:
    photos = [photo for folder in folders for photo in split(read_fixation_set(folder))[1]]
    return (photo.pixels() for photo in track(photos, "photos"))


def measure(
    find: Finder, examples: Iterable[Example], sizes: Sequence[float] = SIZES
) -> list[Detection]:
    """A finder of heads or lines on labelled photos, at each of the thresholds."""
    maps, labelled = [], []
    for pixels, boxes in examples:
        maps.append(find(pixels))
        labelled.append(boxes)
    return [detection(maps, labelled, threshold, sizes) for threshold in THRESHOLDS]


def table_of(detections: Sequence[Detection]) -> str:
    """Recall by size and view, and precision, a column for each threshold (Markdown)."""
    rows = []
    for size, view in detections[0].recall:
        parts = [d.recall[size, view] for d in detections]
        recalls = [f"{part.recall:.2f}" for part in parts]
        rows.append([f"{size} {view}", str(parts[0].things), *recalls])
    rows.append(["precision", "", *(f"{d.precision:.2f}" for d in detections)])
    return rows_markdown(["", "number", *(f"at {d.threshold}" for d in detections)], rows)


def head_detectors() -> Finder:
    """The detectors of heads that the student's targets come from."""
    detector = heads.load()

    def find(pixels: Pixels) -> Map:
        return head_map(detector.find(pixels), (pixels.shape[1], pixels.shape[0]), FINE_GRID)

    return find


def text_detectors() -> Finder:
    """The same of lines of text."""
    detector = text.load()

    def find(pixels: Pixels) -> Map:
        return text_map(detector.find(pixels), (pixels.shape[1], pixels.shape[0]), FINE_GRID)

    return find


def integrity_of(checkpoint: Path) -> Finder:
    """The second map of a student."""
    network = student.load(checkpoint)

    @torch.inference_mode()
    def find(pixels: Pixels) -> Map:
        framed, extent = frame(pixels, network.sizes.canvas)
        _, integrity = network(torch.from_numpy(framed[None]), torch.from_numpy(extent[None]))
        return np.asarray(integrity[0].numpy())

    return find


def main() -> None:
    parser = argparse.ArgumentParser(description="measure what finds heads and lines of text")
    labels_from = parser.add_mutually_exclusive_group(required=True)
    labels_from.add_argument("--boxes", type=Path, help="the heads in the photos, a CSV file")
    labels_from.add_argument(
        "--write-words", type=Path, nargs="+", metavar="SET", help="write lines into photos"
    )
    labels_from.add_argument(
        "--find-lines", type=Path, nargs="+", metavar="SET", help="lines that the detectors find"
    )
    parser.add_argument("--photos", type=Path, help="a folder of photos, for --boxes")
    parser.add_argument("--student", type=Path, help="a checkpoint, in place of the detectors")
    args = parser.parse_args()
    if bool(args.boxes) != bool(args.photos):
        parser.error("--boxes and --photos go together")
    student_finder = integrity_of(args.student) if args.student else None
    if args.boxes:
        examples, sizes = labelled_photos(args.photos, args.boxes), SIZES
        finder = student_finder or head_detectors()
    else:
        written = args.write_words
        examples = photos_with_words(written) if written else photos_with_lines(args.find_lines)
        finder, sizes = student_finder or text_detectors(), LINE_SIZES
    print(table_of(measure(finder, examples, sizes)))


if __name__ == "__main__":
    main()
