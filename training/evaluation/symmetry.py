"""What must not matter to a cropper, asked without knowing who is in the photos.

    python -m training.evaluation.symmetry PHOTOS [--heads 60] [--model NAME=FILE …]
        [--out docs/audit.json]

PHOTOS is a folder of photos, or of `images`, with a table of their heads or without
(`.largest_heads`). The largest head of a photo counts if it is at least `SMALLEST` pixels high; the
photos are spread evenly over the folder.

    mirror     a photo and its mirror image: the map and the windows have to be mirrored, too
    row        three times the same head, in the photo's and the mirrored direction
    changes    a head beside itself in another light, of another skin tone, out of focus, in both
               orders (`.changes`, `.portraits`)

Brackets are 95 % bootstrap intervals over photos. This says nothing of groups of people, whose
faces differ in more than that: `.audit` asks about them.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import gazecrop
import numpy as np

from training.evaluation.audit import VERSION, text_of
from training.evaluation.changes import CHANGES
from training.evaluation.evaluate import CHECKPOINT, digests, model_file, open_models
from training.evaluation.largest_heads import with_largest_head
from training.evaluation.portraits import (
    METHODS,
    Floats,
    Pixels,
    Portrait,
    comparison,
    inside_shares,
    judge,
    predicted,
)
from training.evaluation.retention import RATIOS
from training.evaluation.tables import (
    Row,
    Table,
    as_json,
    interval,
    json_file,
    markdown,
    resample_weights,
    write_json,
)
from training.networks.predictors import Predictor
from training.progress import track

SMALLEST = 64  # pixels of a head's height
AROUND = 2.0  # how much of the photo a portrait shows, in heads
PLACES = ("left", "middle", "right")
CHANGED, SAME = "changed", "as it was"
MIRROR = ("attention that moves", "left half", *(f"{m} {r}: IoU" for m in METHODS for r in RATIOS))
ROW = (*(f"attention: {place}" for place in PLACES), *(f"highest point: {p}" for p in PLACES))


def mirrored(portrait: Portrait) -> Portrait:
    width = portrait.pixels.shape[1]
    left, top, right, bottom = portrait.head
    head = np.array([width - right, top, width - left, bottom])
    return Portrait(flipped(portrait.pixels), head)


def flipped(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


def cut_out(photo: Portrait) -> Portrait:
    """The head and what is around it."""
    left, top, right, bottom = photo.head
    margin = np.array([right - left, bottom - top]) * (AROUND - 1) / 2
    start = np.floor(np.maximum(photo.head[:2] - margin, 0)).astype(int)
    end = np.ceil(np.minimum(photo.head[2:] + margin, photo.pixels.shape[1::-1])).astype(int)
    pixels = np.ascontiguousarray(photo.pixels[start[1] : end[1], start[0] : end[0]])
    return Portrait(pixels, photo.head - np.tile(start, 2))


def mirror_values(predict: Predictor, pixels: Pixels) -> Floats:
    """In the order of `MIRROR`.

    attention that moves: half of the summed differences between the map and the mirror image's,
        mirrored back; 0 if left and right exchange, 1 if nothing agrees.
    left half: the attention on the left half, the mean of photo and mirror image; .5 if neither
        side is preferred.
    IoU: intersection over union of the window and the mirror image's, mirrored back.
    """
    there, mirror = predicted(predict, pixels), predicted(predict, flipped(pixels))
    moved = np.abs(there.density - mirror.density[:, ::-1]).sum() / 2
    left = np.mean([left_half(there), left_half(mirror)])
    overlaps = []
    for method in METHODS:
        for ratio in RATIOS.values():
            here, back = (s.crop(ratio, method=method).rect for s in (there, mirror))
            overlaps.append(mirror_overlap(here, back, there.size[0]))
    return np.array([moved, left, *overlaps])


def left_half(saliency: gazecrop.Saliency) -> float:
    cells = saliency.density.shape[1]
    half = (cells / 2 - np.arange(cells)).clip(0, 1)
    return float(saliency.density.sum(axis=0, dtype=float) @ half)


def mirror_overlap(rect: gazecrop.Rect, mirror: gazecrop.Rect, width: int) -> float:
    """Intersection over union of a window and one of the mirror image of the same size."""
    back = mirror._replace(left=width - mirror.left - mirror.width)
    box = np.array([[rect.left, rect.top, rect.right, rect.bottom]], float)
    share = float(inside_shares(box, back)[0])
    return share / (2 - share)


def row_values(predict: Predictor, portrait: Portrait) -> Floats:
    """Of three equal heads in a row, in the order of `ROW`; the mean of both directions."""
    rows = [judge(predict, [facing] * 3) for facing in (portrait, mirrored(portrait))]
    attention = np.mean([row.attention / max(row.attention.sum(), 1e-12) for row in rows], axis=0)
    highest = np.mean([row.highest for row in rows], axis=0)
    return np.concatenate([attention, highest])


def means(values: Sequence[Floats], columns: Sequence[str]) -> Row:
    weights = resample_weights(len(values))
    of_all = weights @ np.array(values)
    return {
        column: interval(of_photos, of_resamples)
        for column, of_photos, of_resamples in zip(columns, of_all[0], of_all[1:].T, strict=True)
    }


def mirror_table(models: Mapping[str, Predictor], photos: Sequence[Portrait]) -> Table:
    return {
        name: means([mirror_values(predict, photo.pixels) for photo in photos], MIRROR)
        for name, predict in models.items()
    }


def row_table(models: Mapping[str, Predictor], portraits: Sequence[Portrait]) -> Table:
    return {
        name: means([row_values(predict, portrait) for portrait in portraits], ROW)
        for name, predict in models.items()
    }


def change_tables(
    models: Mapping[str, Predictor], portraits: Sequence[Portrait]
) -> dict[str, Table]:
    """By change: the changed head beside the one as it was; see `.portraits.columns`."""
    pairs = [(i, i) for i in range(len(portraits))]
    return {
        name: comparison(
            models, pairs, ([change(p) for p in portraits], portraits), (CHANGED, SAME)
        )
        for name, change in track(CHANGES.items(), "changes")
    }


def read_photos(folder: Path, most: int) -> list[Portrait]:
    """Photos of a head that is large enough, spread evenly over a folder.

    Raises:
        FileNotFoundError, ValueError: as `.largest_heads.with_largest_head`; or there are fewer
            than two.
    """
    found = [
        photo
        for _, photo in with_largest_head(folder)
        if photo is not None and photo.head[3] - photo.head[1] >= SMALLEST
    ]
    if len(found) < 2:
        raise ValueError(f"{folder} holds {len(found)} heads of {SMALLEST} pixels, too few")
    count = min(most, len(found))
    return [found[i * len(found) // count] for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description="ask what must not matter to a cropper")
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--heads", type=int, default=60, help="at most")
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--out", type=json_file, metavar="FILE.json")
    args = parser.parse_args()
    if args.heads < 2:
        parser.error("--heads is at least 2")
    try:
        files = args.model or [("gazecrop", CHECKPOINT)]
        models = open_models(files)
        photos = read_photos(args.photos, args.heads)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    portraits = [cut_out(photo) for photo in photos]
    mirror, row = mirror_table(models, photos), row_table(models, portraits)
    changes = change_tables(models, portraits)
    print(markdown(f"**Mirror images**, {len(photos)} photos", mirror))
    print(markdown("**Three equal heads in a row**", row))
    for name, table in changes.items():
        print(text_of(f"**{name}**, beside the same head as it was", table, (CHANGED, SAME)))
    if args.out:
        numbers = {
            "version": VERSION,
            "networks": digests(files),
            "photos": len(photos),
            "mirror": as_json(mirror),
            "row": as_json(row),
            "changes": {name: as_json(table) for name, table in changes.items()},
        }
        write_json(args.out, numbers)


if __name__ == "__main__":
    main()
