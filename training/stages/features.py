"""Stage 1, features: what the frozen networks see in the photos with fixations, computed once.

Teachers read them many times, and a photo's take a hundred times as long to compute as to read
again. For each backbone, `features/NAME.npy` holds those of each photo and of its mirror image in
float16, all taps of all scales in a row: at the recipe's sizes some 5 megabytes a photo and
backbone. `features/NAME.extents.npy` holds the photos' extents on the canvas; an extent of 0 is
that of a photo whose turn has not come yet.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.data.framing import frame
from training.files import whole
from training.networks import backbones
from training.networks.backbones import BackboneName
from training.networks.teacher import Statistics, Teacher
from training.progress import track
from training.stages.run import Run

CHUNK = 8  # photos between two saves
SAMPLED = 120  # photos that the features' means and deviations are taken of


class Features(Dataset[tuple[Tensor, ...]]):
    """The cached features of one backbone.

    Of photos with targets, an item is all that a teacher learns from: the features [values], the
    extent, and the density [grid, grid]; its key is (index, draw), and half of the draws are mirror
    images.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        values: NDArray[np.float16],
        extents: NDArray[np.int32],
    ) -> None:
        self.shapes = shapes  # of the taps, in their order in a row
        self.values = values  # [photos, 2, values]: photos and their mirror images
        self.extents = extents  # [photos, 2]
        self.photos = np.arange(len(values))
        self.densities: NDArray[np.float32] | None = None
        self.seed = 0

    def targeted(
        self, photos: NDArray[np.intp], densities: NDArray[np.float32], seed: int
    ) -> "Features":
        """Some of the photos with their target densities [photos, grid, grid]."""
        some = Features(self.shapes, self.values, self.extents)
        some.photos, some.densities, some.seed = photos, densities, seed
        return some

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, ...]:
        assert self.densities is not None
        index, draw = key
        mirrored = int(np.random.default_rng((self.seed, draw)).integers(2))
        density = self.densities[index][:, :: -1 if mirrored else 1]
        photo = self.photos[index]
        parts = self.values[photo, mirrored], self.extents[photo], density
        return tuple(torch.from_numpy(np.array(part)) for part in parts)

    def views(self, photos: NDArray[np.intp]) -> tuple[list[list[Tensor]], Tensor]:
        """Features of photos and of their mirror images, and the photos' extents."""
        rows = torch.from_numpy(self.values[photos])
        extents = torch.from_numpy(self.extents[photos])
        return [taps_of(rows[:, view], self.shapes) for view in (0, 1)], extents

    def statistics(self) -> list[Statistics]:
        """Mean and deviation of each map of each tap, over some photos."""
        random = np.random.default_rng(0)
        chosen = np.sort(random.permutation(len(self.values))[:SAMPLED])
        rows = torch.from_numpy(self.values[chosen, 0])
        taps = (tap.float().transpose(0, 1).flatten(1) for tap in taps_of(rows, self.shapes))
        return [(tap.mean(dim=1), tap.std(dim=1)) for tap in taps]


def taps_of(rows: Tensor, shapes: Sequence[tuple[int, int, int]]) -> list[Tensor]:
    """Rows of features [N, values] as taps [N, maps, h, w]."""
    parts = rows.split([math.prod(shape) for shape in shapes], dim=1)
    return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]


def cached_features(run: Run) -> dict[BackboneName, Features]:
    """The features of the photos with fixations, for each backbone of the recipe.

    Raises:
        FileNotFoundError: the weights of a backbone are missing.
        ValueError: a file of weights is not that backbone's, or the run's folder holds features of
            other photos.
    """
    names = sorted({member.backbone for member in run.recipe.teachers.members})
    with run.fabric.rank_zero_first():  # the others then find all features written
        return {name: _cached(run, name) for name in names}


def new_teacher(run: Run, name: BackboneName) -> Teacher:
    """A teacher that has learned nothing yet, on its backbone's weights."""
    teacher = Teacher(name, run.recipe.teachers.sizes_of(name))
    weights = backbones.load(name, run.weights).state_dict()
    teacher.features.load_state_dict(weights)
    return teacher


def _cached(run: Run, name: BackboneName) -> Features:
    teacher = new_teacher(run, name).to(run.fabric.device)
    paths = [photo.path for photo in run.sources.training]
    shapes = teacher.shapes()
    canvases = teacher.sizes.canvases
    values, extents = _opened(run.folder / "features" / name, paths, shapes, canvases)
    todo = np.flatnonzero(extents[:, 0] == 0)
    for start in track(range(0, len(todo), CHUNK), f"features of {name}"):
        chunk = todo[start : start + CHUNK]
        pixels, framed_extents = framed([paths[index] for index in chunk], teacher, run)
        for view, seen in enumerate((pixels, pixels.flip(2))):
            values[chunk, view] = _rows(teacher, seen, run)
        values.flush()
        extents[chunk] = framed_extents.cpu().numpy()
        extents.flush()
    return Features(shapes, values, np.array(extents))


def framed(paths: Sequence[Path], teacher: Teacher, run: Run) -> tuple[Tensor, Tensor]:
    """Photos on the larger canvas of a teacher, and their extents there."""
    canvas = teacher.sizes.canvases[0]
    parts = zip(*(frame(run.decoded(path), canvas) for path in paths), strict=True)
    pixels, extents = (torch.from_numpy(np.stack(part)).to(run.fabric.device) for part in parts)
    return pixels, extents


@torch.inference_mode()
def _rows(teacher: Teacher, pixels: Tensor, run: Run) -> NDArray[np.float16]:
    with run.fabric.autocast():
        taps = teacher.look(pixels)
    rows = torch.cat([tap.flatten(1).half() for tap in taps], dim=1)
    return np.asarray(rows.cpu().numpy(), np.float16)


def _opened(
    stem: Path,
    paths: Sequence[Path],
    shapes: Sequence[tuple[int, int, int]],
    canvases: tuple[int, ...],
) -> tuple[Any, Any]:
    """The memory-mapped files of one backbone, made if they are not there."""
    path, extents, record = (stem.with_suffix(end) for end in (".npy", ".extents.npy", ".json"))
    made_of = {
        "photos": [f"{path.parent.parent.name}/{path.name}" for path in paths],
        "canvases": list(canvases),
    }
    if not record.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        size = sum(math.prod(shape) for shape in shapes)
        open_memmap(path, "w+", np.float16, (len(paths), 2, size)).flush()
        open_memmap(extents, "w+", np.int32, (len(paths), 2)).flush()
        with whole(record) as file:
            file.write_text(json.dumps(made_of))
    elif json.loads(record.read_text()) != made_of:
        raise ValueError(f"{path} was made of other photos or canvases; remove {record}")
    return open_memmap(path, "r+"), open_memmap(extents, "r+")
