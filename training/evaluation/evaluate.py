"""Measure predictors on photos whose viewers' gaze is known.

    python -m training.evaluation.evaluate [--data SET …] [--elsewhere FOLDER …]
        [--model NAME=FILE …] [--out DIR]

Without --model it measures the shipped checkpoint. Each set gets a table (`.metrics` and
`.retention` say what the columns mean):

    --data SET            a fixation set that was trained on: its validation photos
    --elsewhere FOLDER    a set that nothing was trained on, or a folder of such sets: all its
                          photos. A set of maps (`training.data.maps`) has no points, so it gets
                          CC, SIM, KLD, the mass that windows keep and the gap closed

Whatever is chosen by the last table, the mean over the sets of --elsewhere, holds on photos of
other laboratories too. Two rows to compare with:

    centre prior           where people look in the set's other photos (of a set that was trained
                           on: in its training photos), whatever the photo
    half of the viewers    the blurred fixations of a random half of a photo's viewers (the larger
                           half if they are odd in number), measured on those of the other half

Brackets are 95 % bootstrap intervals over photos. --out receives the tables as evaluation.md
and evaluation.json.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.data.fixations import Photo, is_validation, read_fixation_set, upright_size
from training.data.maps import MappedPhoto, read_map_set
from training.evaluation.metrics import (
    CENTRE_GRID,
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
from training.evaluation.retention import RATIOS, gap_closed, map_retention, retention
from training.evaluation.tables import (
    Row,
    Table,
    as_json,
    interval,
    markdown,
    mean_over_sets,
    means_markdown,
    resample_weights,
    write_json,
)
from training.files import digest
from training.networks.predictors import Predictor, open_predictor

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "student.safetensors"
CENTRE, HALF = "centre prior", "half of the viewers"
METRICS = ("NSS", "AUC", "sAUC", "CC", "SIM", "KLD", "IG")
MAP_METRICS = ("CC", "SIM", "KLD", "kept")
GAPS = ("gap closed", *(f"gap {ratio}" for ratio in RATIOS))
COLUMNS, MAP_COLUMNS = (*METRICS, *GAPS), (*MAP_METRICS, *GAPS)

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


def mean_nss(predict: Predictor, photos: Iterable[Photo]) -> float:
    """NSS averaged over photos."""
    scores = []
    for photo in photos:
        pixels = photo.pixels()
        saliency_map = on_photo(predict(pixels), pixels.shape[1], pixels.shape[0])
        scores.append(nss(saliency_map, photo.fixations))
    return float(np.mean(scores))


def evaluate(
    photos: Sequence[Photo], models: Mapping[str, Predictor], held_out: bool = False
) -> Table:
    """The table of a fixation set, by row: the models, the centre prior, half of the viewers.

    Args:
        photos: all of the set. Scores are of the validation photos, the others say where
            people look elsewhere.
        held_out: nothing was trained on the set, so scores are of all its photos.

    Raises:
        ValueError: the set has no photo to validate on, or none besides.
    """
    names = [photo.path.name for photo in photos]
    tested = [i for i, name in enumerate(names) if held_out or is_validation(name)]
    relative = [photo.fixations / upright_size(photo.path) for photo in photos]
    others = [relative[i] for i, name in enumerate(names) if held_out or not is_validation(name)]
    if not tested or len(others) < 1 + held_out:
        raise ValueError(f"{len(photos)} photos, {len(tested)} for validation: too few")
    prior = centre_bias(np.concatenate(others))
    random = np.random.default_rng(0)
    scores: dict[str, list[Score]] = {name: [] for name in (*models, CENTRE, HALF)}
    for i in track(tested, "photos"):
        pixels = photos[i].pixels()
        elsewhere = np.concatenate(relative[:i] + relative[i + 1 :])
        truth = _truth(photos[i].fixations, elsewhere, (pixels.shape[1], pixels.shape[0]))
        for name, predict in models.items():
            scores[name].append(_score(predict(pixels), truth))
        scores[CENTRE].append(_score(truth.bias if held_out else prior, truth))
        if len(set(photos[i].subjects)) > 1:
            scores[HALF].append(_score_half(photos[i], elsewhere, truth.size, random))
    return {name: _row(row, COLUMNS) for name, row in scores.items() if row}


def evaluate_maps(photos: Sequence[MappedPhoto], models: Mapping[str, Predictor]) -> Table:
    """The table of a set of maps, all photos: the models and the centre prior.

    Raises:
        ValueError: there is one photo only, or a map says nothing.
    """
    if len(photos) < 2:
        raise ValueError(f"{len(photos)} photo: too few to say where people look in the others")
    small = np.stack([photo.human(CENTRE_GRID, CENTRE_GRID) for photo in photos])
    total = small.sum(axis=0)
    scores: dict[str, list[Score]] = {name: [] for name in (*models, CENTRE)}
    for photo, own in zip(track(photos, "photos"), small, strict=True):
        pixels = photo.pixels()
        human = photo.human(pixels.shape[1], pixels.shape[0])
        for name, predict in models.items():
            scores[name].append(_map_score(predict(pixels), human))
        prior = with_uniform((total - own) / (len(photos) - 1))
        scores[CENTRE].append(_map_score(prior, human))
    return {name: _row(row, MAP_COLUMNS) for name, row in scores.items()}


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


def _map_score(density: NDArray[np.float32], human: NDArray[np.float32]) -> Score:
    saliency_map = on_photo(density, human.shape[1], human.shape[0])
    retentions = [map_retention(density, human, ratio) for ratio in RATIOS.values()]
    kept = float(np.mean([part.kept for part in retentions]))
    agreement = (cc(saliency_map, human), sim(saliency_map, human), kld(saliency_map, human))
    return Score(np.array([*agreement, kept]), np.array(retentions))


def _row(scores: Sequence[Score], columns: Sequence[str]) -> Row:
    """Means over photos, with the 2.5th and 97.5th percentile of the same over resamples."""
    metrics = np.stack([score.metrics for score in scores])  # [photos, metrics]
    retentions = np.stack([score.retentions for score in scores])  # [photos, ratios, 3]
    weights = resample_weights(len(scores))
    gaps = gap_closed(np.tensordot(weights, retentions, 1))  # [1 + RESAMPLES, ratios]
    values = np.hstack([weights @ metrics, gaps.mean(axis=1, keepdims=True), gaps])
    return {
        column: interval(of_photos, of_resamples)
        for column, of_photos, of_resamples in zip(columns, values[0], values[1:].T, strict=True)
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


def digests(files: Sequence[ModelFile]) -> dict[str, str]:
    """Which network each model was, by its file: figures of another one are out of date."""
    return {name: digest(path) for name, path in files}


def sets_in(folder: Path) -> list[Path]:
    """The folder, if it is a set of fixations or of maps, else such folders inside.

    Raises:
        ValueError: there is none.
    """
    candidates = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    found = [path for path in candidates if _has_fixations(path) or (path / "maps").is_dir()]
    if not found:
        raise ValueError(f"{folder} holds no set: no folder with fixations.csv or maps/")
    return found[:1] if found[0] == folder else found


def _has_fixations(folder: Path) -> bool:
    return (folder / "fixations.csv").is_file()


def evaluate_elsewhere(folder: Path, models: Mapping[str, Predictor]) -> tuple[int, Table]:
    """The number of photos of a set that nothing was trained on, and its table."""
    if _has_fixations(folder):
        photos = read_fixation_set(folder)
        return len(photos), evaluate(photos, models, held_out=True)
    mapped = read_map_set(folder)
    return len(mapped), evaluate_maps(mapped, models)


class Report:
    """Tables as they come: printed, and kept for the files."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.numbers: dict[str, object] = {}

    def add(self, name: str, text: str, numbers: object) -> None:
        self.texts.append(text)
        self.numbers[name] = numbers
        print(text, flush=True)

    def write(self, folder: Path) -> None:
        write_json(folder / "evaluation.json", self.numbers)
        (folder / "evaluation.md").write_text("\n".join(self.texts), encoding="utf-8")


def report(
    data: Sequence[Path], elsewhere: Sequence[Path], models: Mapping[str, Predictor]
) -> Report:
    """The tables of all sets, and the mean over those from elsewhere."""
    result = Report()
    for folder in data:
        photos = read_fixation_set(folder)
        table = evaluate(photos, models)
        count = sum(is_validation(photo.path.name) for photo in photos)
        text = markdown(f"**{folder.name}**, {count} photos", table)
        result.add(folder.name, text, {"photos": count, "rows": as_json(table)})
    tables = {}
    for folder in elsewhere:
        count, table = evaluate_elsewhere(folder, models)
        tables[folder.name] = table
        text = markdown(f"**{folder.name}**, elsewhere, {count} photos", table)
        result.add(folder.name, text, {"photos": count, "rows": as_json(table)})
    if len(tables) > 1:
        columns = dict.fromkeys((*COLUMNS, *MAP_COLUMNS))
        means = mean_over_sets(list(tables.values()), list(columns))
        text = means_markdown(f"**Mean over {', '.join(tables)}**", means)
        result.add("mean elsewhere", text, {"sets": list(tables), "rows": means})
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="measure predictors where viewers' gaze is known")
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a fixation set that was trained on"
    )
    parser.add_argument(
        "--elsewhere", type=Path, action="append", default=[], help="sets that were not"
    )
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, help="a folder for evaluation.md and evaluation.json")
    args = parser.parse_args()
    if not (args.data or args.elsewhere):
        parser.error("name a set: --data SET or --elsewhere FOLDER")
    elsewhere = [path for folder in args.elsewhere for path in sets_in(folder)]
    files = args.model or [("gazecrop", CHECKPOINT)]
    result = report(args.data, elsewhere, open_models(files))
    if args.out:
        result.numbers["networks"] = digests(files)
        result.write(args.out)


if __name__ == "__main__":
    main()
