"""Make a fixation set of a published gaze data set.

    python -m training.data.converters {osie,eyecrowd,mit1003,cat2000,salicon} SOURCE TARGET

SOURCE is the data set as its authors publish it, unpacked; TARGET is a new folder, in the
format that `training.data.fixations` reads. What SOURCE holds:

    osie, eyecrowd   stimuli/*.jpg, eye/fixations.mat
                     (the folder `data` of NUS-VIP/predicting-human-gaze-beyond-pixels and
                     of NUS-VIP/saliency-in-crowd)
    mit1003          ALLSTIMULI/*.jpeg, DATA/<subject>/<image>.mat
    cat2000          Stimuli/<category>/*.jpg, FIXATIONLOCS/<category>/*.mat
                     (the folder `trainSet`)
    salicon          images/**/*.jpg, and fixations_train2014.json, fixations_val2014.json or
                     both, here or in annotations/

Positions that the eye tracker reported stay as they are; pixel indices become the middle of
that pixel. Gaze outside the image is left out. Three sets need more than that:

- MIT1003 publishes gaze samples. They are smoothed, and those that stay within 1° for at
  least 100 ms are a fixation, at their median (`still_spans`). This is not the authors'
  `checkFixations`, which looks for acceleration, so the fixations are not exactly theirs.
  Like them we drop each viewer's first one, which is still on the cross that was shown
  before the image.
- CAT2000's maps hold all viewers' fixations together: one subject, and no order. Who looked
  where is in `allFixData.mat`, which only MATLAB can open (a `containers.Map`).
- SALICON publishes the positions of a mouse that moved, 75 million of them. Those of one
  worker that follow each other within 1° become one fixation.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rich.progress import track
from scipy.io import loadmat

Points = NDArray[np.float64]  # [n, 2]: x, y in pixels

COLUMNS = ("image", "subject", "order", "x", "y", "duration_ms")
MIT1003_DEGREE = 35  # pixels (Judd et al., 2009)
MIT1003_RATE = 240  # samples per second
MIT1003_SMOOTHED = 9  # samples; noise of 4 pixels would cut fixations to pieces otherwise
SHORTEST_FIXATION = 0.1  # seconds
SALICON_DEGREE = 19  # pixels (the width of the blur in the authors' tools)


@dataclass(frozen=True)
class Viewing:
    """Where one subject looked, in viewing order unless that is unknown."""

    subject: str
    points: Points
    durations_ms: NDArray[np.float64] | None = None
    in_order: bool = True


@dataclass(frozen=True)
class Stimulus:
    path: Path
    name: str  # unique in its set
    viewings: list[Viewing]


def still_spans(points: Points, spread: float, fewest: int) -> Iterator[slice]:
    """The spans of consecutive points that stay in one place, by their dispersion (I-DT).

    A span has at least `fewest` points (1 or more); its width and height add up to `spread`
    pixels at most. It ends at a NaN. Salvucci and Goldberg, "Identifying fixations and
    saccades in eye-tracking protocols", 2000.
    """
    start = 0
    while start + fewest <= len(points):
        rest = points[start:]
        extent = np.maximum.accumulate(rest) - np.minimum.accumulate(rest)
        length = int((extent.sum(axis=1) <= spread).sum())
        if length >= fewest:
            yield slice(start, start + length)
            start += length
        else:
            start += 1


def nus(source: Path) -> Iterator[Stimulus]:
    """OSIE (Xu et al., 2014) and EyeCrowd (Jiang et al., 2014): the same lab, the same layout."""
    table = _file(source / "eye" / "fixations.mat")
    cells = _matlab(table)
    try:
        viewings = {
            str(image["img"].item().item()): [
                _nus_viewing(number, cell)
                for number, cell in enumerate(image["subjects"].item().ravel())
            ]
            for image in cells["fixations"].ravel()
        }
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{table} is no cell array of img and subjects with fix_x") from error
    paths = [_file(source / "stimuli" / name) for name in viewings]
    for path in track(paths, "OSIE or EyeCrowd"):
        yield Stimulus(path, path.name, viewings[path.name])


def _nus_viewing(number: int, cell: Any) -> Viewing:
    x, y, duration = (cell[name].item().ravel() for name in ("fix_x", "fix_y", "fix_duration"))
    return Viewing(str(number), np.stack([x, y], axis=1).astype(float), duration.astype(float))


def mit1003(source: Path) -> Iterator[Stimulus]:
    """MIT1003 (Judd et al., 2009)."""
    paths = _files(source / "ALLSTIMULI", "*.jpeg")
    data = _folder(source / "DATA")
    subjects = sorted(path for path in data.iterdir() if path.is_dir() and path.name[0] != ".")
    if not subjects:
        raise FileNotFoundError(f"{data} has no folder for each subject")
    for path in track(paths, "MIT1003"):
        viewings = [_mit1003_viewing(subject / f"{path.stem}.mat") for subject in subjects]
        yield Stimulus(path, path.name, viewings)


def _mit1003_viewing(path: Path) -> Viewing:
    names_to_values = _matlab(_file(path))
    try:
        # The variable has the image's name, but MATLAB cuts names after 63 characters.
        (recording,) = (v for name, v in names_to_values.items() if not name.startswith("__"))
        samples = recording["DATA"].item().ravel()[0]["eyeData"][:, [0, 1]].astype(float)
    except (IndexError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no single variable with DATA(1).eyeData") from error
    samples[(samples < 0).any(axis=1)] = np.nan  # blinks
    samples = _smooth(samples, MIT1003_SMOOTHED)
    fewest = round(SHORTEST_FIXATION * MIT1003_RATE)
    spans = list(still_spans(samples, MIT1003_DEGREE, fewest))[1:]
    durations = np.array([(span.stop - span.start) * 1000 / MIT1003_RATE for span in spans])
    return Viewing(path.parent.name, _medians(samples, spans), durations)


def cat2000(source: Path) -> Iterator[Stimulus]:
    """CAT2000's training set (Borji and Itti, 2015)."""
    paths = _files(source / "Stimuli", "*/*.jpg")
    maps = [
        _file(source / "FIXATIONLOCS" / path.parent.name / f"{path.stem}.mat") for path in paths
    ]
    for path, fixated in zip(track(paths, "CAT2000"), maps, strict=True):
        pixels = _matlab(fixated).get("fixLocs")
        with Image.open(path) as image:
            if not isinstance(pixels, np.ndarray) or pixels.shape != (image.height, image.width):
                raise ValueError(f"{fixated} has no map fixLocs of the size of {path}")
        points = np.argwhere(pixels)[:, ::-1] + 0.5
        viewing = Viewing("0", points, in_order=False)
        yield Stimulus(path, f"{path.parent.name}_{path.name}", [viewing])


def salicon(source: Path) -> Iterator[Stimulus]:
    """SALICON (Jiang et al., 2015), release 2015r1."""
    tables = sorted(_folder(source).rglob("fixations_*2014.json"))
    if not tables:
        raise FileNotFoundError(f"{source} has no fixations_train2014.json, fixations_val2014.json")
    photos = {path.name: path for path in _files(source / "images", "**/*.jpg")}
    for table in tables:
        for image, annotations in track(_salicon_images(table), table.name):
            path = photos.get(image["file_name"])
            if path is None:
                raise FileNotFoundError(
                    f"{table} names {image['file_name']}, which is not in {source / 'images'}"
                )
            viewings = [_salicon_viewing(image, row, table) for row in annotations]
            yield Stimulus(path, path.name, viewings)


def _salicon_images(table: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The images of a table, each with its annotations: one for each worker."""

    def compact(row: dict[str, Any]) -> dict[str, Any]:
        if "fixations" in row:  # as lists, those of the whole set would take 10 GB
            row["fixations"] = np.array(row["fixations"], np.float32).reshape(-1, 2)
        return row

    try:
        with table.open() as file:
            content = json.load(file, object_hook=compact)
        annotations = defaultdict(list)
        for row in content["annotations"]:
            annotations[row["image_id"]].append(row)
        return [(image, annotations[image["id"]]) for image in content["images"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{table} is no SALICON table of images and annotations") from error


def _salicon_viewing(image: dict[str, Any], row: dict[str, Any], table: Path) -> Viewing:
    try:
        points = row["fixations"][:, ::-1] - 0.5  # published as [row, column] from 1
        size, subject = (image["width"], image["height"]), str(row["worker_id"])
    except KeyError as error:
        raise ValueError(f"{table}: image {image['id']} or a fixation lacks {error}") from error
    # An early release had [x, y] instead, which mostly leaves the image when swapped.
    if (points > size).any():
        raise ValueError(f"{table}: a fixation of image {image['id']} is no [row, column] in it")
    return Viewing(subject, _medians(points, list(still_spans(points, SALICON_DEGREE, fewest=1))))


def _smooth(samples: Points, width: int) -> Points:
    """Running medians: less noise, and jumps as sharp as before. A NaN spreads to all near it."""
    if len(samples) < width:
        return samples
    padded = np.pad(samples, ((width // 2, width // 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
    return np.asarray(np.median(windows, axis=-1))


def _medians(points: Points, spans: list[slice]) -> Points:
    return np.array([np.median(points[span], axis=0) for span in spans]).reshape(-1, 2)


CONVERTERS: dict[str, Callable[[Path], Iterator[Stimulus]]] = {
    "osie": nus,
    "eyecrowd": nus,
    "mit1003": mit1003,
    "cat2000": cat2000,
    "salicon": salicon,
}


def convert(name: str, source: Path, target: Path) -> tuple[int, int]:
    """Write a published data set as a fixation set; the numbers of its images and fixations.

    Raises:
        FileExistsError: the target is a fixation set already.
        FileNotFoundError: the source lacks a folder or a file.
        ValueError: a file of the source has another layout.
    """
    table = target / "fixations.csv"
    if table.exists():
        raise FileExistsError(f"{table} exists already")
    _folder(source)
    stimuli = fixations = 0
    unfinished = target / "fixations.csv.part"
    (target / "images").mkdir(parents=True, exist_ok=True)
    with unfinished.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for stimulus in CONVERTERS[name](source):
            width, height = _copy(stimulus.path, target / "images" / stimulus.name)
            for viewing in stimulus.viewings:
                rows = _rows(stimulus.name, viewing, width, height)
                writer.writerows(rows)
                fixations += len(rows)
            stimuli += 1
    unfinished.rename(table)
    return stimuli, fixations


def _rows(name: str, viewing: Viewing, width: int, height: int) -> list[tuple[str, ...]]:
    points = viewing.points.round(1)
    inside = ((points >= 0) & (points < (width, height))).all(axis=1)
    durations = [""] * len(points)
    if viewing.durations_ms is not None:
        durations = [f"{duration:.0f}" for duration in viewing.durations_ms]
    kept = [(*points[index], durations[index]) for index in np.flatnonzero(inside)]
    return [
        (name, viewing.subject, str(order) if viewing.in_order else "", f"{x:.1f}", f"{y:.1f}", ms)
        for order, (x, y, ms) in enumerate(kept)
    ]


def _copy(source: Path, target: Path) -> tuple[int, int]:
    """Copy a photo, and return its width and height.

    Viewers saw the stored pixels, whatever the camera noted on how to turn them (MATLAB ignores
    that), so a photo that would be turned is saved anew without the note.
    """
    with Image.open(source) as photo:
        if photo.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            copyfile(source, target)
        else:
            photo.save(target, quality="keep")
        return photo.size


def _matlab(path: Path) -> dict[str, Any]:
    try:
        return loadmat(path)
    except NotImplementedError as error:
        raise ValueError(
            f"{path} is a MATLAB 7.3 file: save it again in MATLAB with save(…, '-v7')"
        ) from error
    except Exception as error:  # the reader fails on broken files in many ways
        raise ValueError(f"{path} cannot be read as a MATLAB file") from error


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is not a folder")
    return path


def _file(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    return path


def _files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(path for path in _folder(folder).glob(pattern) if path.name[0] != ".")
    if not found:
        raise FileNotFoundError(f"{folder} holds no {pattern}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a fixation set of a published data set")
    parser.add_argument("set", choices=CONVERTERS)
    parser.add_argument("source", type=Path, help="the data set as published")
    parser.add_argument("target", type=Path, help="the fixation set, a new folder")
    args = parser.parse_args()
    try:
        stimuli, fixations = convert(args.set, args.source, args.target)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{args.target}: {stimuli} images, {fixations} fixations")


if __name__ == "__main__":
    main()
