"""Measure how photos of different shapes should be brought into the network's one input shape.

    python -m training.experiments.framings --data SET [--checkpoint FILE]

Validation photos are predicted whole, and cut to 1:2 and 3:1 where most fixations are, in
each of several framings: letterbox, bounded squash, full squash, all on the same square
canvas; and, as the reference that would not batch, at their own shape with as many pixels.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.fixations import read_fixation_set, split
from training.data.framing import CELL, resize
from training.evaluation.evaluate import CHECKPOINT
from training.evaluation.metrics import nss, on_photo
from training.networks import student
from training.networks.predictors import FramedNetwork

Pixels = NDArray[np.uint8]
Predict = Callable[[student.Student, Pixels], NDArray[np.float32]]

SHAPES = {"whole": None, "1:2": 1 / 2, "3:1": 3.0}
FEWEST_FIXATIONS = 20


def squashed(max_squash: float) -> Predict:
    return lambda network, photo: FramedNetwork(network, max_squash)(photo)


@torch.inference_mode()
def at_own_shape(network: student.Student, photo: Pixels) -> NDArray[np.float32]:
    ratio = math.sqrt(photo.shape[1] / photo.shape[0])
    width, height = (
        max(CELL, round(side / CELL) * CELL)
        for side in (network.sizes.canvas * ratio, network.sizes.canvas / ratio)
    )
    pixels = torch.from_numpy(resize(photo, width, height))[None]
    extent = torch.tensor([[height, width]], dtype=torch.int32)
    density, _ = network(pixels, extent)
    return density[0].numpy()


FRAMINGS: dict[str, Predict] = {
    "letterbox": squashed(1),
    "squash ≤ 4:3": squashed(4 / 3),
    "squash ≤ 2": squashed(2),
    "full squash": squashed(1e9),
    "own shape": at_own_shape,
}


def window(
    photo: Pixels, fixations: NDArray[np.float32], ratio: float | None
) -> tuple[Pixels, NDArray[np.float32]]:
    """The largest window of a ratio, where most fixations are, and those."""
    if ratio is None:
        return photo, fixations
    height, width = photo.shape[:2]
    size = (min(width, int(height * ratio)), min(height, int(width / ratio)))
    axis = 0 if size[0] < width else 1
    starts = np.arange(photo.shape[1 - axis] - size[axis] + 1)
    along = np.sort(fixations[:, axis])
    inside = np.searchsorted(along, starts + size[axis]) - np.searchsorted(along, starts)
    origin = np.zeros(2, int)
    origin[axis] = starts[inside.argmax()]
    (left, top), (right, bottom) = origin, origin + size
    moved = fixations - origin
    kept = ((moved >= 0) & (moved < size)).all(axis=1)
    return photo[top:bottom, left:right], moved[kept].astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="NSS of each framing, by the photos' shape")
    parser.add_argument("--data", type=Path, required=True, help="a fixation set")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    args = parser.parse_args()
    network = student.load(args.checkpoint)
    photos = [(photo.pixels(), photo.fixations) for photo in split(read_fixation_set(args.data))[1]]
    for shape, ratio in SHAPES.items():
        windows = [window(pixels, fixations, ratio) for pixels, fixations in photos]
        windows = [(cut, inside) for cut, inside in windows if len(inside) >= FEWEST_FIXATIONS]
        for name, framing in FRAMINGS.items():
            scores = [
                nss(on_photo(framing(network, cut), cut.shape[1], cut.shape[0]), inside)
                for cut, inside in windows
            ]
            print(f"{shape:>6}  {name:<14} NSS {np.mean(scores):.3f}", flush=True)


if __name__ == "__main__":
    main()
