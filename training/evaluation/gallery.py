"""A picture of what predictors see: a row for each photo of a set.

    python -m training.evaluation.gallery (--data SET | --elsewhere SET) --model NAME=FILE
        [--model …] [--worst nss|cc|cuts] --out FILE.png

From left to right: the photo with its fixations; the humans' map, the fixations blurred; and
for each model its map, with its NSS, and its crops. A set of maps (`training.data.maps`) has no
fixations, so it gets CC. Where heads are labelled (see `cuts`), those that a crop cuts have a white
box, the others a grey one. Photos are the validation photos of --data or all of --elsewhere:
without --worst spread evenly over the set; with it those where the first model has the lowest NSS
or CC, or its crops cut the most heads.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from gazecrop import Rect, Saliency
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.data.fixations import Photo, read_fixation_set, split
from training.data.maps import MappedPhoto, read_map_set
from training.evaluation.cuts import Boxes, count_cuts, read_boxes
from training.evaluation.evaluate import model_file, open_models
from training.evaluation.metrics import cc, fixation_map, nss, on_photo
from training.evaluation.retention import RATIOS
from training.networks.predictors import ExportedStudent, FramedNetwork, Predictor
from training.progress import track

Pixels: TypeAlias = NDArray[np.uint8]

PANEL = (320, 240)  # width and height that photos are fitted into
TITLE = 22  # height of a panel's title
GAP = 6  # between panels
FRAMES = {"16:9": "#e6194b", "1:1": "#f58a07", "4:5": "#0a84ff"}
DOT = "#ff2d2d"


class Panel(NamedTuple):
    title: dict[str, str]  # words and their colours
    picture: Image.Image


class Row(NamedTuple):
    """A photo's panels, and what the first model is sorted by.

    Attributes:
        nss: nan where there are no fixations.
        cuts: heads that its crops cut, once for each crop.
    """

    panels: list[Panel]
    nss: float
    cc: float
    cuts: int


def gallery(rows: Sequence[Row]) -> Image.Image:
    """The panels of all rows, on one sheet."""
    width, height = PANEL[0] + GAP, PANEL[1] + TITLE
    sheet = Image.new("RGB", (width * len(rows[0].panels), height * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for down, row in enumerate(rows):
        for across, panel in enumerate(row.panels):
            left, top = across * width, down * height
            margin = (width - panel.picture.width) // 2
            sheet.paste(panel.picture, (left + margin, top + TITLE))
            for word, colour in panel.title.items():
                draw.text((left + GAP, top + 3), word, colour, font)
                left += round(draw.textlength(word + "  ", font))
    return sheet


def row(
    photo: Photo | MappedPhoto, models: Mapping[str, Predictor], heads: Boxes | None = None
) -> Row:
    """The panels of a photo, whose heads [n, 4] may be labelled."""
    pixels = photo.pixels()
    size = pixels.shape[1], pixels.shape[0]
    panels, human = _humans(photo, pixels)
    scores, cut = [], []
    for name, predict in models.items():
        saliency = predicted(predict, pixels)
        saliency_map = on_photo(saliency.density, *size)
        points, agreement = math.nan, cc(saliency_map, human)
        title = f"{name}: CC {agreement:.2f}"
        if isinstance(photo, Photo):
            points = nss(saliency_map, photo.fixations)
            title = f"{name}: NSS {points:.2f}"
        scores.append((points, agreement))
        panels.append(Panel({title: "black"}, heat(pixels, saliency_map)))
        windows = [saliency.crop(RATIOS[ratio]).rect for ratio in FRAMES]
        cut.append(sum(count_cuts(heads, size, window).cut for window in windows))
        picture = with_frames(with_heads(pixels, heads, windows), windows)
        panels.append(Panel({"crops": "black", **FRAMES}, picture))
    return Row(panels, *scores[0], cut[0])


def _humans(photo: Photo | MappedPhoto, pixels: Pixels) -> tuple[list[Panel], NDArray[np.float32]]:
    """The panels of what people did, and their map [height, width]."""
    height, width = pixels.shape[:2]
    if isinstance(photo, MappedPhoto):
        human, title, picture = photo.human(width, height), "viewers", _fitted(pixels)
    else:
        human = fixation_map(photo.fixations, width, height)
        title = f"{len(set(photo.subjects))} viewers"
        picture = with_fixations(pixels, photo.fixations)
    return [
        Panel({photo.path.name: "black"}, picture),
        Panel({title: "black"}, heat(pixels, human)),
    ], human


def predicted(predict: Predictor, pixels: Pixels) -> Saliency:
    """What the client would get: with an integrity where the network tells one."""
    size = pixels.shape[1], pixels.shape[0]
    if isinstance(predict, FramedNetwork | ExportedStudent):
        density, integrity = predict.maps(pixels)
        return Saliency(density, size, integrity)
    return Saliency(predict(pixels), size)


def heat(pixels: Pixels, saliency_map: NDArray[np.float32]) -> Image.Image:
    """The map in colours over the greyed photo."""
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    relative = saliency_map / max(float(saliency_map.max()), 1e-12)
    colours = cv2.applyColorMap((relative * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    opacity = (0.25 + 0.5 * np.sqrt(np.maximum(relative, 0)))[:, :, None]
    mixed = grey * (1 - opacity) + cv2.cvtColor(colours, cv2.COLOR_BGR2RGB) * opacity
    return _fitted(mixed.astype(np.uint8))


def with_fixations(pixels: Pixels, fixations: NDArray[np.float32]) -> Image.Image:
    picture = _fitted(pixels)
    draw = ImageDraw.Draw(picture)
    for x, y in fixations * picture.width / pixels.shape[1]:
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), DOT, "white")
    return picture


def with_heads(pixels: Pixels, heads: Boxes | None, windows: Sequence[Rect]) -> Pixels:
    """The photo with a box around each head [n, 4]: white where a window cuts it, else grey."""
    size = pixels.shape[1], pixels.shape[0]
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for head in [] if heads is None else heads:
        cut = any(count_cuts(head[None], size, window).cut for window in windows)
        left, top, width, height = head
        box = (left, top, left + width, top + height)
        draw.rectangle(box, outline="white" if cut else "grey", width=2 + 2 * cut)
    return np.asarray(picture)


def with_frames(pixels: Pixels, windows: Sequence[Rect]) -> Image.Image:
    """The photo with its windows of the shapes in `FRAMES`."""
    picture = _fitted(pixels)
    scale = picture.width / pixels.shape[1]
    draw = ImageDraw.Draw(picture)
    for inset, (window, colour) in enumerate(zip(windows, FRAMES.values(), strict=True)):
        # Frames that share an edge lie inside each other, so that all show.
        left, top = window.left * scale + 3 * inset, window.top * scale + 3 * inset
        right = window.right * scale - 1 - 3 * inset
        bottom = window.bottom * scale - 1 - 3 * inset
        draw.rectangle((left, top, right, bottom), outline=colour, width=3)
    return picture


def _fitted(pixels: Pixels) -> Image.Image:
    picture = Image.fromarray(pixels)
    scale = min(PANEL[0] / picture.width, PANEL[1] / picture.height)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)))


def read_photos(folder: Path, everything: bool) -> Sequence[Photo | MappedPhoto]:
    """The photos of a set to draw: all of it, or those kept for validation.

    Raises:
        OSError, ValueError: it is no set, as the readers of fixations and of maps say.
    """
    if everything and (folder / "maps").is_dir():
        return read_map_set(folder)
    photos = read_fixation_set(folder)
    return photos if everything else split(photos)[1]


def worst(rows: Sequence[Row], by: str) -> list[Row]:
    """The rows, those where the first model does worst first."""
    return sorted(rows, key=lambda row: -row.cuts if by == "cuts" else getattr(row, by))


def main() -> None:
    parser = argparse.ArgumentParser(description="draw predictors' maps and crops beside humans'")
    of_set = parser.add_mutually_exclusive_group(required=True)
    of_set.add_argument("--data", type=Path, help="a fixation set: its validation photos")
    of_set.add_argument("--elsewhere", type=Path, help="a set of fixations or maps: all its photos")
    parser.add_argument(
        "--model", type=model_file, action="append", required=True, metavar="NAME=FILE"
    )
    parser.add_argument("--worst", choices=("nss", "cc", "cuts"), help="of the first model")
    parser.add_argument("--count", type=int, default=12, help="number of photos")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    args = parser.parse_args()
    folder = args.elsewhere or args.data
    try:
        models, heads = open_models(args.model), read_boxes(folder, "head")
        photos = read_photos(folder, everything=args.elsewhere is not None)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if args.worst == "cuts" and heads is None:
        parser.error(f"{folder} has no table of heads")
    if args.worst == "nss" and isinstance(photos[0], MappedPhoto):
        parser.error(f"{folder} has no fixations: --worst cc")
    count = min(args.count, len(photos))
    if count < 1:
        parser.error("no photo to draw")
    if not args.worst:
        photos = [photos[i * len(photos) // count] for i in range(count)]
    labelled = heads or {}
    rows = [row(photo, models, labelled.get(photo.path.name)) for photo in track(photos, "photos")]
    gallery(worst(rows, args.worst)[:count] if args.worst else rows).save(args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
