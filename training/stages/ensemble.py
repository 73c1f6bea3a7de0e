"""Stage 3, the ensemble: mix the teachers, and write down what they say of every training photo.

What a photo with fixations gets comes from those teachers alone that never saw them; a photo
without gets the mean of all. Each density is averaged over the photo and its mirror image. The
weights of the backbones are the recipe's. `targets.npy` is computed once, and resumed where it
stopped; `ensemble.json` is the mixture of all teachers, for `training.networks.predictors`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from training.files import whole
from training.networks import teacher
from training.networks.backbones import BackboneName
from training.networks.predictors import Member
from training.progress import track
from training.stages.features import Features, cached_features, framed
from training.stages.run import Run
from training.stages.teachers import folds, train_teachers

CHUNK = 8  # photos at once, and between two saves

Teachers = Mapping[BackboneName, Sequence[teacher.Teacher]]


def soft_targets(run: Run) -> NDArray[np.float32]:
    """The teachers' density for each of the training photos, [photos, grid, grid].

    Raises:
        ValueError: the folder holds targets for other photos or of other teachers.
    """
    files, features = train_teachers(run), cached_features(run)
    with run.fabric.rank_zero_first():  # the others then find both files written
        members = _write_mixture(run, files)
        targets = _opened(run, members)
        if (targets.sum(axis=(1, 2)) == 0).any():  # a density sums to 1, a gap to 0
            teachers = {
                name: [teacher.load(path).to(run.fabric.device) for path in paths]
                for name, paths in files.items()
            }
            _targets_of_gazed(run, teachers, features, targets)
            _targets_of_unlabelled(run, teachers, targets)
        return np.asarray(targets)


def _write_mixture(
    run: Run, files: Mapping[BackboneName, Sequence[Path]]
) -> list[dict[str, object]]:
    """The mixture of all teachers, in `ensemble.json` and as its entries."""
    weights = _weights(run)
    members = [
        asdict(Member(path.relative_to(run.folder).as_posix(), weights[name] / len(paths)))
        for name, paths in files.items()
        for path in paths
    ]
    path = run.folder / "ensemble.json"
    if not path.exists():
        with whole(path) as file:
            file.write_text(json.dumps(members, indent=2) + "\n")
    return members


def _weights(run: Run) -> dict[BackboneName, float]:
    """Of the backbones; they sum to 1."""
    members = run.recipe.teachers.members
    total = sum(member.weight for member in members)
    return {member.backbone: member.weight / total for member in members}


def _opened(run: Run, members: list[dict[str, object]]) -> NDArray[np.float32]:
    """`targets.npy`, made if it is not there."""
    paths, grid = run.sources.training_paths, run.recipe.teachers.grid
    made_of = {
        "ensemble": members,
        "photos": [f"{path.parent.parent.name}/{path.name}" for path in paths],
    }
    target, record = run.folder / "targets.npy", run.folder / "targets.json"
    if not record.exists():
        open_memmap(target, "w+", np.float32, (len(paths), grid, grid)).flush()
        with whole(record) as file:
            file.write_text(json.dumps(made_of))
    elif json.loads(record.read_text()) != made_of:
        raise ValueError(f"{target} was made of other photos or teachers; remove {record}")
    return open_memmap(target, "r+")


def _targets_of_gazed(
    run: Run,
    teachers: Teachers,
    features: Mapping[BackboneName, Features],
    targets: NDArray[np.float32],
) -> None:
    """Of photos with fixations, from cached features: teachers of the other folds."""
    fold_of, weights = folds(run), _weights(run)
    todo = np.flatnonzero(targets[: len(fold_of)].sum(axis=(1, 2)) == 0)
    if not len(todo):
        return
    total = np.zeros_like(targets[todo])
    for name, members in teachers.items():
        for held_out, member in enumerate(members):
            mine = np.flatnonzero(fold_of[todo] == held_out)
            read = _read_cached(run, member, features[name], todo[mine])
            total[mine] += weights[name] * read
    targets[todo] = total
    targets.flush()  # type: ignore[attr-defined]


def _read_cached(
    run: Run, member: teacher.Teacher, features: Features, photos: NDArray[np.intp]
) -> NDArray[np.float32]:
    grid = member.sizes.grid
    densities = np.zeros((len(photos), grid, grid), np.float32)
    for start in range(0, len(photos), CHUNK):
        views, extents = features.views(photos[start : start + CHUNK])
        device = run.fabric.device
        on_device = [[tap.to(device) for tap in view] for view in views]
        with run.fabric.autocast():
            density = teacher.mirror_mean(member, on_device, extents.to(device))
        densities[start : start + CHUNK] = density.cpu().numpy()
    return densities


def _targets_of_unlabelled(run: Run, teachers: Teachers, targets: NDArray[np.float32]) -> None:
    """Of photos without fixations: the mean of all teachers; their features are not kept."""
    paths, weights = run.sources.training_paths, _weights(run)
    todo = np.flatnonzero(targets.sum(axis=(1, 2)) == 0)
    for start in track(range(0, len(todo), CHUNK), "soft targets"):
        chunk = todo[start : start + CHUNK]
        total = torch.zeros(())
        for name, members in teachers.items():
            batch = framed([paths[index] for index in chunk], members[0], run)
            with run.fabric.autocast():
                parts = torch.stack(teacher.densities(members, *batch))
            total = total + weights[name] * parts.mean(dim=0).cpu()
        targets[chunk] = total.numpy()
        targets.flush()  # type: ignore[attr-defined]
