"""Fixation sets, networks and predictors that are small enough for tests."""

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from tests.conftest import encode
from training.data.fixations import read_fixation_set
from training.evaluation.metrics import fixation_map
from training.networks.backbones import Backbone, BackboneName
from training.networks.student import BlockSizes, StudentSizes
from training.networks.teacher import TeacherSizes

TINY = StudentSizes(
    canvas=64,
    grid=8,
    stem=8,
    blocks=(
        BlockSizes(hidden=8, out=8, stride=1, residual=True, expand=False),
        BlockSizes(hidden=24, out=8, stride=2, residual=False),
        BlockSizes(hidden=40, out=16, stride=2, residual=False),
        BlockSizes(hidden=24, out=16, stride=2, residual=False),
    ),
    taps=(3, 4),
    lateral=8,
    readout=8,
)
TINY_TEACHER = TeacherSizes(canvases=(64, 32), grid=8, lateral=8, readout=8)


def write_weights(folder: Path) -> Path:
    """Files of the backbones' weights, which have learned nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in get_args(BackboneName):
        torch.manual_seed(0)
        network = Backbone(name)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        save_file(network.state_dict(), folder / f"{name}_imagenet.safetensors")
    return folder


def inputs(count: int = 2, extent: tuple[int, int] = (64, 64)) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.randint(0, 256, (count, 64, 64, 3), dtype=torch.uint8)
    return pixels, torch.tensor([extent] * count, dtype=torch.int32)


def write_set(folder: Path, photos: int = 12, size: tuple[int, int] = (64, 48)) -> Path:
    """A fixation set whose photos are dark with one bright square, where everybody looks."""
    random = np.random.default_rng(0)
    rows = ["image,subject,order,x,y,duration_ms"]
    (folder / "images").mkdir(parents=True)
    for number in range(photos):
        pixels = random.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
        left, top = random.integers(4, size[0] - 16), random.integers(4, size[1] - 16)
        pixels[top : top + 12, left : left + 12] = 240
        (folder / "images" / f"{number}.png").write_bytes(encode(pixels, "PNG"))
        for order in range(20):
            x, y = random.uniform((left, top), (left + 12, top + 12))
            rows.append(f"{number}.png,{order % 3},{order},{x:.1f},{y:.1f},200")
    (folder / "fixations.csv").write_text("\n".join(rows))
    return folder


def write_map_set(folder: Path, photos: int = 20) -> Path:
    """The written set's photos with their blurred fixations, at half the photos' size."""
    write_set(folder, photos=photos, size=(160, 120))
    (folder / "maps").mkdir()
    for photo in read_fixation_set(folder):
        grey = cv2.resize(fixation_map(photo.fixations, 160, 120), (80, 60))
        path = folder / "maps" / photo.path.name
        cv2.imwrite(str(path), np.rint(grey / grey.max() * 255).astype(np.uint8))
    (folder / "fixations.csv").unlink()
    return folder


def brightness(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Finds the bright squares that everybody in the written set looks at."""
    density = photo.mean(axis=2).astype(np.float32) ** 3
    return density / density.sum()


def nothing(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.full((4, 4), 1 / 16, np.float32)


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.calls += 1
        return brightness(photo)
