"""What the network loses in float16, on photos whose viewers' gaze is known.

    python -m export.accuracy [--data SET …] [--elsewhere FOLDER …] [--out export/accuracy.json]

Sets are those of `training.evaluation.evaluate`: of --data the validation photos, of --elsewhere
all. Both graphs run in onnxruntime on the CPU; a GPU rounds in another order, to as many digits.
Afterwards `make figures` writes the table in README.md anew.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import onnx
import onnxruntime
from rich.progress import track

from export.fp16 import to_fp16
from export.parity import MODEL, largest_move
from training.data.fixations import Photo, is_validation, read_fixation_set
from training.data.maps import MappedPhoto, read_map_set
from training.evaluation.evaluate import sets_in
from training.evaluation.metrics import cc, nss, on_photo
from training.files import digest, whole
from training.networks.predictors import Density, ExportedStudent, Pixels

RESULT = Path(__file__).with_name("accuracy.json")

Figures: TypeAlias = dict[str, float | int | str]


class Compared(NamedTuple):
    """One photo."""

    moved: float  # share of the density that lies elsewhere in float16
    exact: float  # agreement of the float32 graph's density with the viewers
    rounded: float


def compared(
    photos: Sequence[Photo | MappedPhoto],
    exact: ExportedStudent,
    rounded: ExportedStudent,
) -> Figures:
    """What float16 changes on a set: by fixations where there are some, otherwise by their map."""
    rows = np.array([_compared(photo, exact, rounded) for photo in track(photos, "photos")])
    return {
        "photos": len(rows),
        "moved, mean": float(rows[:, 0].mean()),
        "moved, most": float(rows[:, 0].max()),
        "measure": "NSS" if isinstance(photos[0], Photo) else "CC",
        "float32": float(rows[:, 1].mean()),
        "float16": float(rows[:, 2].mean()),
    }


def _compared(
    photo: Photo | MappedPhoto, exact: ExportedStudent, rounded: ExportedStudent
) -> Compared:
    pixels = photo.pixels()
    densities = exact(pixels), rounded(pixels)
    agreements = (_agreement(photo, pixels, density) for density in densities)
    return Compared(largest_move(*(density[None] for density in densities)), *agreements)


def _agreement(photo: Photo | MappedPhoto, pixels: Pixels, density: Density) -> float:
    height, width = pixels.shape[:2]
    spread = on_photo(density, width, height)
    if isinstance(photo, Photo):
        return nss(spread, photo.fixations)
    return cc(spread, photo.human(width, height))


def _photos(
    data: Sequence[Path], elsewhere: Sequence[Path]
) -> Iterator[tuple[str, Sequence[Photo | MappedPhoto]]]:
    for folder in data:
        photos = read_fixation_set(folder)
        yield folder.name, [photo for photo in photos if is_validation(photo.path.name)]
    for folder in (found for each in elsewhere for found in sets_in(each)):
        has_points = (folder / "fixations.csv").is_file()
        yield folder.name, read_fixation_set(folder) if has_points else read_map_set(folder)


def _student(graph: bytes) -> ExportedStudent:
    return ExportedStudent(onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="what the network loses in float16")
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a fixation set that was trained on"
    )
    parser.add_argument(
        "--elsewhere", type=Path, action="append", default=[], help="sets that were not"
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="the ONNX in float32")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    args = parser.parse_args()
    if not (args.data or args.elsewhere):
        parser.error("name a set: --data SET or --elsewhere FOLDER")
    model = onnx.load(args.model)
    students = [_student(graph.SerializeToString()) for graph in (model, to_fp16(model))]
    sets = {
        name: compared(photos, *students) for name, photos in _photos(args.data, args.elsewhere)
    }
    result = {"networks": {"gazecrop": digest(args.model)}, "sets": sets}
    with whole(args.out) as file:
        file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
