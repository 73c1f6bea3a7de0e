"""Compare croppers by how many of the human fixations their crops keep.

    python -m training.evaluation.croppers --data SET [--data SET …] [--model NAME=FILE …]
        [--out DIR]

Each set gets a table of its validation photos. Without --model the shipped checkpoint is
measured. Every row places the same window, the largest of its ratio (`.retention`):

    NAME                   where it holds most of a model's density, weighted towards the centre
                           as the client does it
    NAME, densest point    around the densest cell, as Twitter did it in 2018
    face, else centre      around the largest face, as Twitter did it before; without a face in
                           the middle
    smartcrop.py           PyPI's smartcrop: edges, skin and saturation
    OpenCV saliency        where it holds most of OpenCV's spectral residual (Hou and Zhang, 2007)
    libvips attention      libvips' `smartcrop`, which sharp offers too: edges, skin and saturation
    libvips entropy        the same, by the entropy of what is cut away
    centre                 in the middle
    best possible          where it keeps the most fixations

Columns are the mean share of fixations kept by ratio, the gap that closes between the centre
and the best possible, and the mean of the gaps over the ratios. Brackets are a 95 % bootstrap
interval over photos. --out receives the tables as croppers.md and croppers.json.

It needs `pip install --editable '.[training,comparison]'`.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2.data
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from training.data.fixations import Photo, read_fixation_set, split
from training.evaluation.evaluate import (
    CHECKPOINT,
    Row,
    as_json,
    interval,
    model_file,
    open_models,
    resample_weights,
)
from training.evaluation.retention import (
    RATIOS,
    Window,
    best_window,
    centre_window,
    gap_closed,
    heaviest_window,
    kept,
    largest_size,
    mass_window,
    point_window,
    window_around,
)
from training.networks.predictors import Pixels, Predictor

FACE, SMARTCROP, SPECTRAL = "face, else centre", "smartcrop.py", "OpenCV saliency"
ATTENTION, ENTROPY = "libvips attention", "libvips entropy"
CENTRE, BEST = "centre", "best possible"
KEPT, GAPS = (tuple(f"{what} {ratio}" for ratio in RATIOS) for what in ("kept", "gap"))
COLUMNS = ("gap closed", *KEPT, *GAPS)
PACKAGES = "pip install --editable '.[training,comparison]'"

Cropper: TypeAlias = Callable[[Pixels, float], Window]  # RGB [h, w, 3], width over height


def open_croppers() -> dict[str, Cropper]:
    """The croppers by name that need no model and know no fixation.

    Raises:
        ImportError: a package to compare with is missing; the message says how to install it.
    """
    return {
        FACE: face_cropper(),
        SMARTCROP: smartcrop_cropper(),
        SPECTRAL: spectral_cropper(),
        ATTENTION: libvips_cropper("attention"),
        ENTROPY: libvips_cropper("entropy"),
        CENTRE: lambda pixels, ratio: centre_window(_size(pixels), ratio),
    }


def face_cropper() -> Cropper:
    """Centres the window on the largest face, or on the photo where there is none.

    The detector and its settings are thumbor's defaults (thumbor/detectors/local_detector.py);
    with OpenCV's own it finds more and crops worse (OSIE).
    """
    cascade = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt.xml"
    detector = cv2.CascadeClassifier(str(cascade))

    def crop(pixels: Pixels, ratio: float) -> Window:
        size = _size(pixels)
        smallest = max(20, min(size) // 15)
        faces = detector.detectMultiScale(
            cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 1.2, 4, minSize=(smallest, smallest)
        )
        if len(faces) == 0:
            return centre_window(size, ratio)
        left, top, width, height = max(faces, key=lambda face: face[2] * face[3])
        return window_around((left + width / 2, top + height / 2), size, ratio)

    return crop


def smartcrop_cropper() -> Cropper:
    """smartcrop.py's best crop of the largest size.

    Raises:
        ImportError: the package smartcrop is missing.
    """
    try:
        from smartcrop import SmartCrop
    except ImportError as error:
        raise ImportError(f"{SMARTCROP} needs the package smartcrop: {PACKAGES}") from error

    def crop(pixels: Pixels, ratio: float) -> Window:
        width, height = largest_size(_size(pixels), ratio)
        # Left alone it zooms in by up to a tenth.
        crops = SmartCrop().crop(Image.fromarray(pixels), width, height, min_scale=1)
        best = crops["top_crop"]
        return Window(best["x"], best["y"], best["width"], best["height"])

    return crop


def spectral_cropper() -> Cropper:
    """The window that holds most of OpenCV's static saliency, its spectral residual."""
    saliency = cv2.saliency.StaticSaliencySpectralResidual.create()

    def crop(pixels: Pixels, ratio: float) -> Window:
        _, residual = saliency.computeSaliency(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        return heaviest_window(residual / residual.sum(), _size(pixels), ratio)

    return crop


def libvips_cropper(interesting: str) -> Cropper:
    """libvips' `smartcrop` to the largest size, by "attention" or "entropy".

    Raises:
        ImportError: the package pyvips, or the library that it binds, is missing.
    """
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: pyvips is there, libvips is not
        raise ImportError(f"libvips needs pyvips and pyvips-binary: {PACKAGES}") from error

    def crop(pixels: Pixels, ratio: float) -> Window:
        width, height = largest_size(_size(pixels), ratio)
        image = pyvips.Image.new_from_array(pixels)
        cut = image.smartcrop(width, height, interesting=interesting)
        # An offset is where the photo's origin lies, seen from the crop's.
        return Window(-cut.xoffset, -cut.yoffset, cut.width, cut.height)

    return crop


def compare(
    photos: Sequence[Photo], models: Mapping[str, Predictor], croppers: Mapping[str, Cropper]
) -> dict[str, Row]:
    """The table of these photos, by row: the models, the croppers, the best possible.

    Args:
        croppers: among them `CENTRE`, from which gaps are measured.

    Raises:
        ValueError: there is no photo, or two rows share a name.
    """
    names = [*models, *map(_densest_point, models), *croppers, BEST]
    if len(set(names)) < len(names):
        raise ValueError(f"models need names of their own, not {', '.join(models)}")
    if not photos:
        raise ValueError("no photo to validate on")
    shares: dict[str, list[list[float]]] = defaultdict(list)
    for photo in track(photos, "photos"):
        pixels = photo.pixels()
        size = _size(pixels)
        windows = _windows(pixels, models, croppers)
        windows[BEST] = [best_window(photo.fixations, size, ratio) for ratio in RATIOS.values()]
        for name, of_ratios in windows.items():
            shares[name].append([kept(photo.fixations, size, window) for window in of_ratios])
    return _table({name: np.array(of_photos) for name, of_photos in shares.items()})


def _windows(
    pixels: Pixels, models: Mapping[str, Predictor], croppers: Mapping[str, Cropper]
) -> dict[str, list[Window]]:
    """A photo's windows by row, in the order of `RATIOS`."""
    size, ratios, windows = _size(pixels), RATIOS.values(), {}
    for name, predict in models.items():
        density = predict(pixels)
        windows[name] = [mass_window(density, size, ratio) for ratio in ratios]
        windows[_densest_point(name)] = [point_window(density, size, ratio) for ratio in ratios]
    for name, crop in croppers.items():
        windows[name] = [crop(pixels, ratio) for ratio in ratios]
    return windows


def _densest_point(model: str) -> str:
    return f"{model}, densest point"


def _size(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


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


def markdown(name: str, table: Mapping[str, Row], photos: int) -> str:
    """A fixation set's table."""
    lines = [
        f"**{name}**, {photos} photos",
        "",
        "| | " + " | ".join(COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for row_name, row in table.items():
        closed = row["gap closed"]
        cells = [_number(row[column].mean) for column in COLUMNS]
        if not math.isnan(closed.mean):
            cells[0] += f" [{_number(closed.low)}, {_number(closed.high)}]"
        lines.append(f"| {row_name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="compare croppers by the fixations they keep")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a fixation set")
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, help="a folder for croppers.md and croppers.json")
    args = parser.parse_args()
    croppers = open_croppers()
    models = open_models(args.model or [("gazecrop", CHECKPOINT)])
    texts, numbers = [], {}
    for folder in args.data:
        photos = split(read_fixation_set(folder))[1]
        table = compare(photos, models, croppers)
        texts.append(markdown(folder.name, table, len(photos)))
        numbers[folder.name] = {"photos": len(photos), "rows": as_json(table)}
        print(texts[-1], flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "croppers.md").write_text("\n".join(texts), "utf-8")
        (args.out / "croppers.json").write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
