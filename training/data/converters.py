"""Make a fixation set of a published gaze data set.

    python -m training.data.converters {osie,eyecrowd,scene,pascals,pysaliency} SOURCE TARGET

SOURCE is the data set as its authors publish it, unpacked; TARGET is a new folder, in the
format that `training.data.fixations` reads. What SOURCE holds:

    osie, eyecrowd   stimuli/*.jpg, eye/fixations.mat
                     (the folder `data` of NUS-VIP/predicting-human-gaze-beyond-pixels and
                     of NUS-VIP/saliency-in-crowd)
    scene            stimuli/001.jpg …, tidy/fixations.mat
                     (the folder `data` of Yanakz/Scene)
    pascals          imgs/pascal/1.jpg …, fixations/pascalFix.mat
                     (the folder `datasets` of salObj.zip)
    pysaliency       stimuli.hdf5, fixations.hdf5
                     (a folder that pysaliency makes: `pysaliency.get_mit1003("public")`, for
                     one, downloads MIT1003 to public/MIT1003)

Positions that the eye tracker reported stay as they are, and so do pysaliency's; pixel indices
become the middle of that pixel. Gaze outside the image is left out.
"""

import argparse
import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rich.progress import track
from scipy.io import loadmat

Points = NDArray[np.float64]  # [n, 2]: x, y in pixels

COLUMNS = ("image", "subject", "order", "x", "y", "duration_ms")


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


def scene(source: Path) -> Iterator[Stimulus]:
    """Scene (Liang et al., 2015)."""
    table = _file(source / "tidy" / "fixations.mat")
    try:
        cells = _matlab(table)["fixations"]
        if cells.dtype != object:
            raise TypeError(f"fixations is of type {cells.dtype}")
        viewings = [
            [_scene_viewing(number, rows) for number, rows in enumerate(subjects)]
            for subjects in cells
        ]
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{table} is no cell array [image, subject] of rows y, x, latency, duration"
        ) from error
    paths = [
        _file(source / "stimuli" / f"{number:03}.jpg") for number in range(1, len(viewings) + 1)
    ]
    for path, of_image in zip(track(paths, "Scene"), viewings, strict=True):
        yield Stimulus(path, path.name, of_image)


def _scene_viewing(number: int, rows: Any) -> Viewing:
    y, x, _, seconds = rows.astype(float).T if rows.size else np.empty((4, 0))
    return Viewing(str(number), np.stack([x, y], axis=1), seconds * 1000)


def pascals(source: Path) -> Iterator[Stimulus]:
    """PASCAL-S (Li et al., 2014).

    Its photos have a number for a name; the set's name before it keeps apart the splits of sets.
    """
    table = _file(source / "fixations" / "pascalFix.mat")
    try:
        with h5py.File(table) as file:
            viewings = [_pascals_viewings(file[cell]) for cell in file["fixCell"][0]]
    except (OSError, KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{table} is no HDF5 file with fixCell of y, x, subject") from error
    paths = [
        _file(source / "imgs" / "pascal" / f"{number}.jpg")
        for number in range(1, len(viewings) + 1)
    ]
    for path, of_image in zip(track(paths, "PASCAL-S"), viewings, strict=True):
        yield Stimulus(path, f"pascals_{int(path.stem):04}.jpg", of_image)


def _pascals_viewings(cell: Any) -> list[Viewing]:
    if "MATLAB_empty" in cell.attrs:  # what is stored then is the shape
        return []
    y, x, subjects = cell[:].astype(float)
    points = np.stack([x, y], axis=1) - 0.5  # published as pixel indices from 1
    return [
        Viewing(f"{subject:.0f}", points[subjects == subject]) for subject in np.unique(subjects)
    ]


def from_pysaliency(source: Path) -> Iterator[Stimulus]:
    """A data set of photos that pysaliency has loaded and kept in a folder."""
    tables = [_file(source / name) for name in ("stimuli.hdf5", "fixations.hdf5")]
    try:
        import pysaliency  # slow to import, and needed here only
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: install gazecrop[dev], which has pysaliency") from error

    try:
        stimuli, fixations = (pysaliency.read_hdf5(table) for table in tables)
        paths = [Path(name) for name in stimuli.filenames]
        shared = Path(os.path.commonpath([path.parent for path in paths]))
        x, y, number, subjects = (fixations.x, fixations.y, fixations.n, fixations.subjects)
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{source} holds no photos and fixations of pysaliency") from error
    in_order = isinstance(fixations, pysaliency.FixationTrains)
    points = np.stack([x, y], axis=1).astype(float)
    for index, path in enumerate(track(paths, source.name)):
        viewings = [
            Viewing(str(subject), points[(number == index) & (subjects == subject)], None, in_order)
            for subject in np.unique(subjects[number == index])
        ]
        yield Stimulus(_file(path), "_".join(path.relative_to(shared).parts), viewings)


CONVERTERS: dict[str, Callable[[Path], Iterator[Stimulus]]] = {
    "osie": nus,
    "eyecrowd": nus,
    "scene": scene,
    "pascals": pascals,
    "pysaliency": from_pysaliency,
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
