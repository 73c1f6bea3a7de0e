"""Measure predictors on the validation photos of fixation sets.

    python -m training.evaluation.evaluate --data SET [--data SET …] [--model NAME=FILE …]
        [--out DIR]

Without --model it measures the shipped checkpoint. Each set gets a table (`.metrics` and
`.retention` say what the columns mean), with two rows to compare with:

    centre prior           where people look in the set's training photos, whatever the photo
    half of the viewers    the blurred fixations of a random half of a photo's viewers (the larger
                           half if they are odd in number), measured on those of the other half

Brackets are 95 % bootstrap intervals over photos. --out receives the tables as evaluation.md
and evaluation.json.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from training.data.fixations import Photo, is_validation, read_fixation_set
from training.evaluation.metrics import (
    auc_judd,
    cc,
    centre_bias,
    fixation_map,
    information_gain,
    kld,
    nss,
    on_photo,
    shuffled_auc,
    sim,
    with_uniform,
)
from training.evaluation.retention import RATIOS, gap_closed, retention
from training.networks.predictors import Predictor, open_predictor

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "student.safetensors"
CENTRE, HALF = "centre prior", "half of the viewers"
METRICS = ("NSS", "AUC", "sAUC", "CC", "SIM", "KLD", "IG")
COLUMNS = (*METRICS, "gap closed", *(f"gap {ratio}" for ratio in RATIOS))
RESAMPLES = 1000

ModelFile: TypeAlias = tuple[str, Path]


@dataclass(frozen=True)
class Truth:
    """What is known of one photo."""

    size: tuple[int, int]  # width, height
    fixations: NDArray[np.float32]  # [n, 2], x and y in pixels
    elsewhere: NDArray[np.float32]  # [n, 2], fixations of the other photos, scaled to this one
    bias: NDArray[np.float32]  # [height, width], the density of those
    human: NDArray[np.float32]  # [height, width], the blurred fixations


class Score(NamedTuple):
    """Of one prediction."""

    metrics: NDArray[np.float64]  # [metrics]
    retentions: NDArray[np.float64]  # [ratios, 3]


class Interval(NamedTuple):
    mean: float
    low: float
    high: float


Row: TypeAlias = dict[str, Interval]  # by column


def mean_nss(predict: Predictor, photos: Iterable[Photo]) -> float:
    """NSS averaged over photos."""
    scores = []
    for photo in photos:
        pixels = photo.pixels()
        saliency_map = on_photo(predict(pixels), pixels.shape[1], pixels.shape[0])
        scores.append(nss(saliency_map, photo.fixations))
    return float(np.mean(scores))


def evaluate(photos: Sequence[Photo], models: Mapping[str, Predictor]) -> dict[str, Row]:
    """The table of a fixation set, by row: the models, the centre prior, half of the viewers.

    Args:
        photos: all of the set; scores are of the validation photos, the others say where
            people look elsewhere.

    Raises:
        ValueError: the set has no photo to validate on, or none besides.
    """
    validation = [i for i, photo in enumerate(photos) if is_validation(photo.path.name)]
    relative = [photo.fixations / upright_size(photo.path) for photo in photos]
    training = [relative[i] for i in range(len(photos)) if i not in set(validation)]
    if not validation or not training:
        raise ValueError(f"{len(photos)} photos, {len(validation)} for validation: too few")
    prior = centre_bias(np.concatenate(training))
    random = np.random.default_rng(0)
    scores: dict[str, list[Score]] = {name: [] for name in (*models, CENTRE, HALF)}
    for i in track(validation, "photos"):
        pixels = photos[i].pixels()
        elsewhere = np.concatenate(relative[:i] + relative[i + 1 :])
        truth = _truth(photos[i].fixations, elsewhere, (pixels.shape[1], pixels.shape[0]))
        for name, predict in models.items():
            scores[name].append(_score(predict(pixels), truth))
        scores[CENTRE].append(_score(prior, truth))
        if len(set(photos[i].subjects)) > 1:
            scores[HALF].append(_score_half(photos[i], elsewhere, truth.size, random))
    return {name: _row(row) for name, row in scores.items() if row}


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo as OpenCV reads it, from the head of its file."""
    with Image.open(path) as image:
        turned = image.getexif().get(0x0112, 1) >= 5  # EXIF's orientation
        return image.size[::-1] if turned else image.size


def _truth(
    fixations: NDArray[np.float32], elsewhere: NDArray[np.float32], size: tuple[int, int]
) -> Truth:
    return Truth(
        size,
        fixations,
        elsewhere * np.array(size, np.float32),
        on_photo(centre_bias(elsewhere), *size),
        fixation_map(fixations, *size),
    )


def _score(density: NDArray[np.float32], truth: Truth) -> Score:
    saliency_map, fixations = on_photo(density, *truth.size), truth.fixations
    metrics = (
        nss(saliency_map, fixations),
        auc_judd(saliency_map, fixations),
        shuffled_auc(saliency_map, fixations, truth.elsewhere),
        cc(saliency_map, truth.human),
        sim(saliency_map, truth.human),
        kld(saliency_map, truth.human),
        information_gain(saliency_map, truth.bias, fixations),
    )
    retentions = [retention(density, truth.size, fixations, ratio) for ratio in RATIOS.values()]
    return Score(np.array(metrics), np.array(retentions))


def _score_half(
    photo: Photo,
    elsewhere: NDArray[np.float32],
    size: tuple[int, int],
    random: np.random.Generator,
) -> Score:
    viewers = random.permutation(sorted(set(photo.subjects)))
    predicting = np.isin(photo.subjects, np.array_split(viewers, 2)[0])
    density = with_uniform(fixation_map(photo.fixations[predicting], *size))
    return _score(density, _truth(photo.fixations[~predicting], elsewhere, size))


def _row(scores: Sequence[Score]) -> Row:
    """Means over photos, with the 2.5th and 97.5th percentile of the same over resamples."""
    metrics = np.stack([score.metrics for score in scores])  # [photos, metrics]
    retentions = np.stack([score.retentions for score in scores])  # [photos, ratios, 3]
    weights = resample_weights(len(scores))
    gaps = gap_closed(np.tensordot(weights, retentions, 1))  # [1 + RESAMPLES, ratios]
    values = np.hstack([weights @ metrics, gaps.mean(axis=1, keepdims=True), gaps])
    return {
        column: interval(of_photos, of_resamples)
        for column, of_photos, of_resamples in zip(COLUMNS, values[0], values[1:].T, strict=True)
    }


def resample_weights(photos: int) -> NDArray[np.float64]:
    """The weight of each photo, [1 + RESAMPLES, photos]: first all alike, then as drawn."""
    drawn = np.random.default_rng(0).multinomial(photos, np.full(photos, 1 / photos), RESAMPLES)
    return np.concatenate([np.ones((1, photos)), drawn]) / photos


def interval(mean: float, resampled: NDArray[np.float64]) -> Interval:
    """Resamples whose centred crops are the best possible have no gap to close, and no say."""
    defined = resampled[~np.isnan(resampled)]
    low, high = np.percentile(defined, (2.5, 97.5)) if len(defined) else (math.nan, math.nan)
    return Interval(float(mean), float(low), float(high))


def markdown(name: str, table: Mapping[str, Row], photos: int) -> str:
    """A fixation set's table."""
    lines = [
        f"**{name}**, {photos} photos",
        "",
        "| | " + " | ".join(COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for row_name, row in table.items():
        lines.append(f"| {row_name} | " + " | ".join(map(_cell, row.values())) + " |")
    return "\n".join(lines) + "\n"


def _cell(interval: Interval) -> str:
    if math.isnan(interval.mean):
        return "–"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def as_json(table: Mapping[str, Row]) -> dict[str, dict[str, dict[str, float | None]]]:
    """The same with unrounded numbers; JSON has no NaN, so null stands for it."""
    return {
        name: {
            column: {k: None if math.isnan(v) else v for k, v in interval._asdict().items()}
            for column, interval in row.items()
        }
        for name, row in table.items()
    }


def model_file(text: str) -> ModelFile:
    """The name and path of "NAME=FILE"."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"not NAME=FILE: {text!r}")
    return name, Path(path)


def open_models(files: Sequence[ModelFile]) -> dict[str, Predictor]:
    """The predictors by name.

    Raises:
        ValueError: two of them share a name, or one has that of a row that is there anyway.
    """
    names = [name for name, _ in files]
    if len({*names, CENTRE, HALF}) < len(names) + 2:
        raise ValueError(f"models need names of their own, not {', '.join(names)}")
    return {name: open_predictor(path) for name, path in files}


def main() -> None:
    parser = argparse.ArgumentParser(description="measure predictors on validation photos")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a fixation set")
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, help="a folder for evaluation.md and evaluation.json")
    args = parser.parse_args()
    models = open_models(args.model or [("gazecrop", CHECKPOINT)])
    texts, numbers = [], {}
    for folder in args.data:
        photos = read_fixation_set(folder)
        table = evaluate(photos, models)
        count = sum(is_validation(photo.path.name) for photo in photos)
        texts.append(markdown(folder.name, table, count))
        numbers[folder.name] = {"photos": count, "rows": as_json(table)}
        print(texts[-1], flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "evaluation.md").write_text("\n".join(texts), "utf-8")
        (args.out / "evaluation.json").write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
