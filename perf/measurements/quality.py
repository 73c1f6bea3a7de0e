"""How well gazecrop and its peers (`perf.croppers`) crop: the fixations they keep, what they cut.

    python -m perf.measurements.quality [--data SET …] [--elsewhere FOLDER …] [--find-lines]
        [--twitter FILE.onnx] [--model NAME=FILE …] [--out docs]

Each fixation set of --data gets a table of its validation photos, and each set of --elsewhere, of
fixations or of maps, one of all its photos. A row is a cropper's; or of a model's predictions, NAME
where the window holds most of the density, weighted towards the centre, and "NAME, densest point"
around the densest cell; or one of these to compare with:

    centre                 in the middle
    best possible          where it keeps the most fixations

Columns are the mean share of fixations kept by the largest window of each ratio, the gap that
closes between the centre and the best possible, and the mean of the gaps over the ratios. Where
heads or lines of text are known, a further table tells those cut (`training.evaluation.cuts`);
with --find-lines detectors find the lines that no table tells. The last table has gazecrop's shares
less each other row's, the photos of both resampled together. Brackets are a 95 % bootstrap
interval over photos. --out receives the tables as croppers.md and croppers.json, from which
`perf.report` draws quality over cost.

It needs `pip install --editable '.[perf,training]'`.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from perf.croppers import GAZECROP, Cropper, Size, names, open_cropper, size_of
from perf.instruments.served import network_file
from perf.instruments.tables import table
from training.data.fixations import Photo, read_fixation_set, split, upright_size
from training.data.maps import MappedPhoto, read_map_set
from training.evaluation.cuts import (
    DIFFERENCE,
    LOWEST,
    Boxes,
    Things,
    count_cuts,
    cut_columns,
    found_lines,
    read_things,
)
from training.evaluation.evaluate import digests, model_file, open_models, sets_in
from training.evaluation.retention import (
    RATIOS,
    Window,
    best_window,
    centre_window,
    gap_closed,
    heaviest_window,
    kept,
    mass_inside,
    mass_window,
    point_window,
)
from training.evaluation.tables import Row, as_json, interval, resample_weights, write_json
from training.files import digest
from training.networks.predictors import Density, Predictor

CENTRE, BEST = "centre", "best possible"
CLOSED = "gap closed"
KEPT, GAPS = (tuple(f"{what} {ratio}" for ratio in RATIOS) for what in ("kept", "gap"))
COLUMNS = (CLOSED, *KEPT, *GAPS)

Rule: TypeAlias = Callable[[Density, Size, float], Window]


class Truth(NamedTuple):
    """What people looked at in one photo."""

    kept: Callable[[Window], float]  # the share of it inside
    best: Callable[[float], Window]  # of a ratio, the window with the most
    size: Size


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


def truth_of(photo: Photo | MappedPhoto) -> Truth:
    """What people looked at, as points or as a map."""
    size = upright_size(photo.path)
    if isinstance(photo, Photo):
        fixations = photo.fixations
        return Truth(partial(kept, fixations, size), partial(best_window, fixations, size), size)
    human = photo.human(*size)
    return Truth(partial(mass_inside, human), partial(heaviest_window, human, size), size)


def compare(
    photos: Sequence[Photo | MappedPhoto],
    croppers: Mapping[str, Cropper],
    things: Things | None = None,
) -> dict[str, Row]:
    """The table of these photos, by row: the croppers, the centre, the best possible.

    Args:
        things: the heads and lines in them, which add their columns.

    Raises:
        ValueError: there is no photo.
    """
    if not photos:
        raise ValueError("no photo to validate on")
    rows = {**croppers, CENTRE: _centred}
    windows: dict[str, list[list[Window]]] = defaultdict(list)
    shares: dict[str, list[list[float]]] = defaultdict(list)
    sizes = []
    for photo in track(photos, "photos"):
        upload, truth = photo.path.read_bytes(), truth_of(photo)
        sizes.append((photo.path.name, truth.size))
        for name, crop in rows.items():
            windows[name].append([crop(upload, ratio) for ratio in RATIOS.values()])
        windows[BEST].append([truth.best(ratio) for ratio in RATIOS.values()])
        for name, of_photos in windows.items():
            shares[name].append([truth.kept(window) for window in of_photos[-1]])
    table = _table({name: np.array(of_photos) for name, of_photos in shares.items()})
    against = GAZECROP if GAZECROP in croppers else None
    cuts = cut_columns(things or {}, windows, sizes, against)
    return {name: row | cuts[name] for name, row in table.items()}


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
    """A set's tables."""
    texts = [f"**{name}**, {photos} photos\n", _columns(rows, COLUMNS)]
    for thing in LOWEST:
        columns = [column for column in rows[CENTRE] if thing in column]
        differences = [column for column in columns if column.startswith(DIFFERENCE)]
        if shares := [column for column in columns if column not in differences]:
            texts += ["", _columns(rows, shares)]
        if differences:
            others = {name: row for name, row in rows.items() if name != GAZECROP}
            texts += ["", table(("", *differences), _intervals(others, differences))]
    return "\n".join(texts)


def _intervals(rows: Mapping[str, Row], columns: Sequence[str]) -> Iterator[list[str]]:
    for name, row in rows.items():
        yield [name, *(_cells(row, [column])[0] for column in columns)]


def _columns(rows: Mapping[str, Row], columns: Sequence[str]) -> str:
    """Means, that of the first column with its interval."""
    return table(("", *columns), ((name, *_cells(row, columns)) for name, row in rows.items()))


def _cells(row: Row, columns: Sequence[str]) -> list[str]:
    first, *others = (row[column] for column in columns)
    bounds = f" [{_number(first.low)}, {_number(first.high)}]"
    interval = "" if math.isnan(first.mean) else bounds
    return [_number(first.mean) + interval, *(_number(other.mean) for other in others)]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="compare croppers by what they keep and cut")
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a fixation set that was trained on"
    )
    parser.add_argument(
        "--elsewhere", type=Path, action="append", default=[], help="sets that were not"
    )
    parser.add_argument(
        "--find-lines", action="store_true", help="find the lines of text that no table tells"
    )
    parser.add_argument("--twitter", type=Path, help="Twitter's network of 2018 as ONNX")
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, help="a folder for croppers.md and croppers.json")
    args = parser.parse_args()
    if not (args.data or args.elsewhere):
        parser.error("name a set: --data SET or --elsewhere FOLDER")
    croppers = {name: open_cropper(name, args.twitter) for name in names(args.twitter)}
    croppers |= of_models(open_models(args.model or []))
    elsewhere = [path for folder in args.elsewhere for path in sets_in(folder)]
    texts, numbers = [], dict[str, dict[str, Any]]()
    for folder in (*args.data, *elsewhere):
        photos = _photos(folder, held_out=folder in elsewhere)
        things = read_things(folder)
        if args.find_lines and "line" not in things:
            things["line"] = found_lines(photo.path for photo in photos)
        rows = compare(photos, croppers, things)
        texts.append(markdown(folder.name, rows, len(photos)))
        with_things = {thing: _with(photos, boxes, thing) for thing, boxes in things.items()}
        numbers[folder.name] = {"photos": len(photos), "with": with_things, "rows": as_json(rows)}
        print(texts[-1], flush=True)
    if args.out:
        numbers["networks"] = {GAZECROP: digest(network_file())} | digests(args.model or [])
        write_json(args.out / "croppers.json", numbers)
        (args.out / "croppers.md").write_text("\n".join(texts), "utf-8")


def _with(photos: Sequence[Photo | MappedPhoto], boxes: Mapping[str, Boxes], thing: str) -> int:
    """How many of the photos have such a thing that counts."""

    def things_in(photo: Photo | MappedPhoto) -> int:
        size = upright_size(photo.path)
        everything = Window(0, 0, *size)
        return count_cuts(boxes.get(photo.path.name), size, everything, LOWEST[thing]).things

    return sum(things_in(photo) > 0 for photo in photos)


def _photos(folder: Path, held_out: bool) -> Sequence[Photo | MappedPhoto]:
    if not (folder / "fixations.csv").is_file() and held_out:
        return read_map_set(folder)
    photos = read_fixation_set(folder)
    return photos if held_out else split(photos)[1]


if __name__ == "__main__":
    main()
