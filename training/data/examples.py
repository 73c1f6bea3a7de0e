"""What a student learns from: photos with the two maps that it should predict.

The density of attention may be human (fixations counted in fine cells), teachers', or a mixture;
the loss is the same cross-entropy for all of them. The integrity of a cell is how much of it
belongs to what a cut spoils, from 0 to 1.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from training.data.fixations import Photo, fixation_density, read_pixels
from training.data.framing import NEUTRAL, frame

Pixels = NDArray[np.uint8]
Density = NDArray[np.float32]
Box = NDArray[np.float64]  # left, top, right, bottom as fractions of the photo

Scalar = TypeVar("Scalar", bound=np.generic)

FINE_GRID = 96  # cells a side in which fixations are counted: a crop may cut anywhere
WHOLE: Box = np.array([0.0, 0.0, 1.0, 1.0])
SHRUNK = (0.5, 0.9)  # of the canvas's side
SHRUNK_STEP = 32  # pixels: margins then are whole cells of the coarsest features


def human_density(photo: Photo, width: int, height: int) -> Density:
    """The photo's fixations on the fine grid."""
    return fixation_density(photo.fixations, width, height, FINE_GRID)


class Examples(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """Framed photos with their targets: pixels, extent, density and integrity [grid, grid].

    The photos are decoded once and kept; one may occur several times. An item's key is
    (index, draw). With `augment`, each draw is another crop (which cuts the maps alike), mirror
    image, light, colour and size of that photo, always the same for the same draw: an interrupted
    run goes on as if it had never stopped.

    Args:
        integrity: [photos, h, w] over the whole photos; without it the map is 0.
    """

    LEAST_MASS = 0.3  # a crop that holds less of the attention says too little

    def __init__(
        self,
        photos: Sequence[Path],
        densities: Sequence[Density],
        canvas: int,
        grid: int,
        augment: bool,
        seed: int = 0,
        read: Callable[[Path], Pixels] = read_pixels,
        integrity: Sequence[NDArray[np.floating[Any]]] | None = None,
    ) -> None:
        pixels = {path: read(path) for path in dict.fromkeys(photos)}
        self.pixels = [pixels[path] for path in photos]
        self.densities, self.integrity = densities, integrity
        self.canvas, self.grid = canvas, grid
        self.augment, self.seed = augment, seed
        self.crops, self.shrunk = 0.5, 0.0

    def augmented(self, crops: float, shrunk: float) -> "Examples":
        """The same photos with these shares of the draws cropped, and shrunk.

        A crop shows other shapes of photos, but its density is what people did on the whole
        photo; so the last steps of training should see few. A photo on a part of the canvas
        shows what is small.
        """
        other = copy.copy(self)
        other.crops, other.shrunk = crops, shrunk
        return other

    def with_seed(self, seed: int) -> "Examples":
        """The same photos, augmented otherwise."""
        other = copy.copy(self)
        other.seed = seed
        return other

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        index, draw = key
        pixels, density = self.pixels[index], self.densities[index]
        integrity = np.zeros((1, 1)) if self.integrity is None else self.integrity[index]
        box, side, mirrored = WHOLE, self.canvas, False
        if self.augment:
            random = np.random.default_rng((self.seed, draw))
            pixels, box = _cropped(pixels, _box(random, density, self.crops, self.LEAST_MASS))
            mirrored = random.random() < 0.5
            pixels = _recoloured(random, pixels)
            side = _side(random, self.canvas, self.shrunk)
        density, spoilt = resampled(density, box, self.grid), averaged(integrity, box, self.grid)
        if mirrored:
            pixels, density, spoilt = _mirrored(pixels), _mirrored(density), _mirrored(spoilt)
        framed, extent = frame(pixels, side)
        return (
            torch.from_numpy(_margin(framed, self.canvas)),
            torch.from_numpy(extent),
            torch.from_numpy(density),
            torch.from_numpy(spoilt),
        )


def _mirrored(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Left and right exchanged, of a picture [h, w, 3] or a map [h, w]."""
    return np.ascontiguousarray(values[:, ::-1])


class Batches(Sampler[list[tuple[int, int]]]):
    """Batches of keys for steps `first` to `steps`; every rank of a run takes its own share.

    Which photos a step sees depends on the seed and the step alone.
    """

    def __init__(
        self, photos: int, batch: int, first: int, steps: int, seed: int, rank: int, ranks: int
    ) -> None:
        self.photos, self.batch, self.first, self.steps = photos, batch, first, steps
        self.seed, self.rank, self.ranks = seed, rank, ranks

    def __len__(self) -> int:
        return self.steps - self.first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order: NDArray[np.intp] = np.empty(0, np.intp)
        shuffled = -1
        for step in range(self.first, self.steps):
            keys = []
            for draw in range(step * self.batch, (step + 1) * self.batch):
                epoch, position = divmod(draw, self.photos)
                if epoch != shuffled:
                    shuffled = epoch
                    order = np.random.default_rng((self.seed, epoch)).permutation(self.photos)
                keys.append((int(order[position]), draw))
            yield keys[self.rank :: self.ranks]


def resampled(density: Density, box: Box, grid: int) -> Density:
    """The part of a density inside a box, on a grid over that box; sums to 1.

    Args:
        density: [h, w] over the whole photo.
        box: left, top, right, bottom as fractions of the photo.
        grid: cells a side of the result.
    """
    left, top, right, bottom = box
    rows = _shares(density.shape[0], top, bottom, grid)
    columns = _shares(density.shape[1], left, right, grid)
    part = rows @ density @ columns.T
    return (part / part.sum()).astype(np.float32)


def averaged(values: NDArray[np.floating[Any]], box: Box, grid: int) -> NDArray[np.float32]:
    """The means of a map [h, w] over the cells of a grid over a box in it."""
    left, top, right, bottom = box
    rows = _shares(values.shape[0], top, bottom, grid)
    columns = _shares(values.shape[1], left, right, grid)
    rows, columns = (part / part.sum(axis=1, keepdims=True) for part in (rows, columns))
    return np.asarray(rows @ values @ columns.T, np.float32)


def _shares(cells: int, start: float, end: float, grid: int) -> NDArray[np.float64]:
    """How much of each of `cells` equal parts of 0…1 falls into each part of start…end."""
    edges = np.linspace(start, end, grid + 1) * cells
    first = np.arange(cells)
    upper = np.minimum(edges[1:, None], first + 1)
    lower = np.maximum(edges[:-1, None], first)
    return np.clip(upper - lower, 0, None)


def _box(random: np.random.Generator, density: Density, share: float, least: float) -> Box:
    """Sometimes a window of random place, size and shape, as fractions of the photo."""
    if random.random() >= share:
        return WHOLE
    size = random.uniform(0.5, 1, 2)
    left, top = random.uniform(0, 1 - size)
    box = np.array([left, top, left + size[0], top + size[1]])
    rows = _shares(density.shape[0], box[1], box[3], 1)
    columns = _shares(density.shape[1], box[0], box[2], 1)
    return box if (rows @ density @ columns.T).item() >= least * density.sum() else WHOLE


def _cropped(pixels: Pixels, box: Box) -> tuple[Pixels, Box]:
    """The window cut at whole pixels, and where exactly that is."""
    height, width = pixels.shape[:2]
    scale = np.array([width, height, width, height])
    left, top, right, bottom = (box * scale).round().astype(int)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return pixels[top:bottom, left:right], np.array([left, top, right, bottom]) / scale


def _side(random: np.random.Generator, canvas: int, share: float) -> int:
    """Of the part of the canvas that a photo is framed on: mostly all of it."""
    if random.random() >= share:
        return canvas
    return max(1, round(canvas * random.uniform(*SHRUNK) / SHRUNK_STEP)) * SHRUNK_STEP


def _margin(framed: Pixels, canvas: int) -> Pixels:
    """A framed photo in the middle of a canvas that may be larger."""
    margin = (canvas - framed.shape[0]) // 2
    widths = ((margin, margin), (margin, margin), (0, 0))
    return np.pad(framed, widths, constant_values=NEUTRAL) if margin else framed


def _recoloured(random: np.random.Generator, pixels: Pixels) -> Pixels:
    """Brightness and contrast by a random straight line; saturation; sometimes no colour."""
    values = np.arange(256) * random.uniform(0.7, 1.3) + random.uniform(-30, 30)
    lit = cv2.LUT(pixels, np.clip(values, 0, 255).astype(np.uint8))
    grey = cv2.cvtColor(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    saturation = 0.0 if random.random() < 0.05 else random.uniform(0.6, 1.3)
    return np.asarray(cv2.addWeighted(lit, saturation, grey, 1 - saturation, 0), np.uint8)
