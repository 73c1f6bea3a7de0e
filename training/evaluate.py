"""Measure a checkpoint on the validation photos of fixation sets.

python -m training.evaluate --data SET [--data SET …] [--checkpoint FILE]
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import student
from training.data import Photo, read_fixation_set, split
from training.framing import MAX_SQUASH, frame
from training.metrics import nss, on_photo

CHECKPOINT = Path(__file__).parent / "checkpoints" / "student.safetensors"


@torch.inference_mode()
def predict(
    network: student.Student, photo: NDArray[np.uint8], max_squash: float = MAX_SQUASH
) -> NDArray[np.float32]:
    """The density [grid, grid] over an RGB photo [height, width, 3]."""
    pixels, extent = frame(photo, network.sizes.canvas, max_squash)
    density: Tensor = network(torch.from_numpy(pixels)[None], torch.from_numpy(extent)[None])
    return density[0].numpy()


def mean_nss(network: student.Student, photos: Iterable[Photo]) -> float:
    """NSS averaged over photos."""
    network.eval()
    scores = []
    for photo in photos:
        pixels = photo.pixels()
        saliency_map = on_photo(predict(network, pixels), pixels.shape[1], pixels.shape[0])
        scores.append(nss(saliency_map, photo.fixations))
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description="NSS on the validation photos")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a fixation set")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    args = parser.parse_args()
    network = student.load(args.checkpoint)
    for folder in args.data:
        validation = split(read_fixation_set(folder))[1]
        print(f"{folder.name}: NSS {mean_nss(network, validation):.3f} ({len(validation)} photos)")


if __name__ == "__main__":
    main()
