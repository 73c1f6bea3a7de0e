"""Stage 2, teachers: for each backbone a few, each of which never saw a part of the fixations.

The training photos are dealt into folds by their names. Each teacher learns from all folds but
one, so that what a photo teaches the student comes from teachers that cannot know its fixations
by heart.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.examples import WHOLE, resampled
from training.data.fixations import fold
from training.data.sources import smoothed
from training.networks import teacher
from training.networks.backbones import BackboneName
from training.stages.features import Features, cached_features, new_teacher, taps_of
from training.stages.fit import Batch, cross_entropy, fit
from training.stages.run import Run


def train_teachers(run: Run) -> dict[BackboneName, list[Path]]:
    """The checkpoints of each backbone's teachers, by the fold that they never saw."""
    recipe = run.recipe.teachers
    files = {
        member.backbone: [
            run.folder / "teachers" / f"{member.backbone}-{held_out}.safetensors"
            for held_out in range(recipe.folds)
        ]
        for member in recipe.members
    }
    names = [path.relative_to(run.folder).as_posix() for paths in files.values() for path in paths]
    if not run.has(*names):
        for backbone, features in cached_features(run).items():
            for held_out, path in enumerate(files[backbone]):
                _train(run, backbone, features, held_out, path)
    return files


def folds(run: Run) -> NDArray[np.int64]:
    """The fold of each training photo."""
    names = [photo.path.name for photo in run.sources.training]
    return np.array([fold(name, run.recipe.teachers.folds) for name in names])


def _train(run: Run, backbone: BackboneName, features: Features, held_out: int, path: Path) -> None:
    recipe = run.recipe.teachers
    if run.has(path.relative_to(run.folder).as_posix()):
        return
    torch.manual_seed(held_out)
    network = new_teacher(run, backbone)
    network.standardise(features.statistics())
    photos = np.flatnonzero(folds(run) != held_out)
    targets = np.stack(
        [
            resampled(
                smoothed(run.sources.human[index], run.recipe.smoothing), WHOLE, network.sizes.grid
            )
            for index in photos
        ]
    )
    examples = features.targeted(photos, targets, held_out)

    def loss(teacher: teacher.Teacher, batch: Batch) -> torch.Tensor:
        rows, extent, density = batch
        return cross_entropy(teacher.read(taps_of(rows, features.shapes), extent), density)

    trained = fit(
        network, examples, loss, recipe.schedule, path.with_suffix(""), run.fabric, held_out
    )
    if run.fabric.is_global_zero:
        teacher.save(trained, path)
    run.fabric.barrier()
