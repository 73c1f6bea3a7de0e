"""How well gazecrop and its peers (`perf.croppers`) crop: the human fixations that they keep.

    python -m perf.measurements.quality --data SET [--data SET …] [--twitter FILE.onnx]
        [--model NAME=FILE …] [--out docs]

Each fixation set gets a table of its validation photos. A row is a cropper's; or of a model's
predictions, NAME where the window holds most of the density, weighted towards the centre, and
"NAME, densest point" around the densest cell; or one of these to compare with:

    centre                 in the middle
    best possible          where it keeps the most fixations

Columns are the mean share of fixations kept by the largest window of each ratio, the gap that
closes between the centre and the best possible, and the mean of the gaps over the ratios.
Brackets are a 95 % bootstrap interval over photos. --out receives the tables as croppers.md and
croppers.json, from which `perf.report` draws quality over cost.

It needs `pip install --editable '.[perf,training]'`.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from perf.croppers import GAZECROP, Cropper, Size, names, open_cropper, size_of
from perf.instruments.served import network_file
from perf.instruments.tables import table
from training.data.fixations import Photo, read_fixation_set, split
from training.evaluation.evaluate import digests, model_file, open_models
from training.evaluation.retention import (
    RATIOS,
    Window,
    best_window,
    centre_window,
    gap_closed,
    kept,
    mass_window,
    point_window,
)
from training.evaluation.tables import Row, as_json, interval, resample_weights
from training.files import digest
from training.networks.predictors import Density, Predictor

CENTRE, BEST = "centre", "best possible"
CLOSED = "gap closed"
KEPT, GAPS = (tuple(f"{what} {ratio}" for ratio in RATIOS) for what in ("kept", "gap"))
COLUMNS = (CLOSED, *KEPT, *GAPS)

Rule: TypeAlias = Callable[[Density, Size, float], Window]


def of_models(models: Mapping[str, Predictor]) -> dict[str, Cropper]:
    """Two croppers for each model: the product's rule, and Twitter's of 2018.

    Raises:
        ValueError: a name is that of another row.
    """
    croppers: dict[str, Cropper] = {}
    for name, predict in models.items():
        # Each photo is predicted once for all ratios and both rules.
        density = lru_cache(maxsize=1)(partial(_density, predict))
        croppers[name] = partial(_placed, density, mass_window)
        croppers[f"{name}, densest point"] = partial(_placed, density, point_window)
    others = {CENTRE, BEST, *names(twitter=Path())}
    if len(croppers) < 2 * len(models) or others & croppers.keys():
        raise ValueError(f"models need names of their own, not {', '.join(models)}")
    return croppers


def _density(predict: Predictor, upload: bytes) -> Density:
    return predict(np.asarray(Image.open(BytesIO(upload)).convert("RGB")))


def _placed(density: Callable[[bytes], Density], rule: Rule, upload: bytes, ratio: float) -> Window:
    return rule(density(upload), size_of(upload), ratio)


def _centred(upload: bytes, ratio: float) -> Window:
    return centre_window(size_of(upload), ratio)


def compare(photos: Sequence[Photo], croppers: Mapping[str, Cropper]) -> dict[str, Row]:
    """The table of these photos, by row: the croppers, the centre, the best possible.

    Raises:
        ValueError: there is no photo.
    """
    if not photos:
        raise ValueError("no photo to validate on")
    rows = {**croppers, CENTRE: _centred}
    shares: dict[str, list[list[float]]] = defaultdict(list)
    for photo in track(photos, "photos"):
        upload = photo.path.read_bytes()
        size, fixations = size_of(upload), photo.fixations
        for name, crop in rows.items():
            windows = [crop(upload, ratio) for ratio in RATIOS.values()]
            shares[name].append([kept(fixations, size, window) for window in windows])
        best = [best_window(fixations, size, ratio) for ratio in RATIOS.values()]
        shares[BEST].append([kept(fixations, size, window) for window in best])
    return _table({name: np.array(of_photos) for name, of_photos in shares.items()})


def _table(shares: Mapping[str, NDArray[np.float64]]) -> dict[str, Row]:
    """From the shares kept, [photos, ratios] by row."""
    weights = resample_weights(len(shares[CENTRE]))
    means = {name: weights @ of_photos for name, of_photos in shares.items()}
    return {name: _row(mean, means[CENTRE], means[BEST]) for name, mean in means.items()}


def _row(
    kept_: NDArray[np.float64], centred: NDArray[np.float64], best: NDArray[np.float64]
) -> Row:
    """From mean shares kept [1 + resamples, ratios]."""
    gaps = gap_closed(np.stack([kept_, centred, best], axis=-1))
    values = np.hstack([gaps.mean(axis=1, keepdims=True), kept_, gaps])
    return {
        column: interval(of_photos, of_resamples)
        for column, of_photos, of_resamples in zip(COLUMNS, values[0], values[1:].T, strict=True)
    }


def markdown(name: str, rows: Mapping[str, Row], photos: int) -> str:
    """A fixation set's table."""
    cells = []
    for row_name, row in rows.items():
        closed, *others = (_number(row[column].mean) for column in COLUMNS)
        if not math.isnan(row[CLOSED].mean):
            closed += f" [{_number(row[CLOSED].low)}, {_number(row[CLOSED].high)}]"
        cells.append((row_name, closed, *others))
    return f"**{name}**, {photos} photos\n\n{table(('', *COLUMNS), cells)}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="compare croppers by the fixations they keep")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a fixation set")
    parser.add_argument("--twitter", type=Path, help="Twitter's network of 2018 as ONNX")
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, help="a folder for croppers.md and croppers.json")
    args = parser.parse_args()
    croppers = {name: open_cropper(name, args.twitter) for name in names(args.twitter)}
    croppers |= of_models(open_models(args.model or []))
    texts, numbers = [], dict[str, object]()
    for folder in args.data:
        photos = split(read_fixation_set(folder))[1]
        rows = compare(photos, croppers)
        texts.append(markdown(folder.name, rows, len(photos)))
        numbers[folder.name] = {"photos": len(photos), "rows": as_json(rows)}
        print(texts[-1], flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        numbers["networks"] = {GAZECROP: digest(network_file())} | digests(args.model or [])
        (args.out / "croppers.md").write_text("\n".join(texts), "utf-8")
        (args.out / "croppers.json").write_text(json.dumps(numbers, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
