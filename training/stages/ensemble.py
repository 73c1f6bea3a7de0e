"""Stage 2, the ensemble: mix the teachers, and write down what they say of every training photo.

The members are the run's own teachers and whatever `--member` adds. The weights of the
mixture maximise the likelihood of the validation photos' fixations, by expectation
maximisation. The mixture's densities for all training photos are the soft targets of
distillation: computed once, kept in `targets.npy`, resumed where they stopped.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from training.data.examples import resampled
from training.data.framing import frame
from training.data.sources import WHOLE, human_densities
from training.files import whole
from training.networks.predictors import (
    GRID,
    Ensemble,
    FramedNetwork,
    Member,
    Predictor,
    on_grid,
    open_predictor,
)
from training.progress import track
from training.stages.run import Run
from training.stages.teachers import train_teachers

CHUNK = 32  # photos between two saves


def soft_targets(run: Run) -> NDArray[np.float32]:
    """The mixture's density for each of the training photos, [photos, grid, grid]."""
    members = [*train_teachers(run), *run.members]
    with run.fabric.rank_zero_first():  # the others then find both files written
        return write_targets(run, mix(run, members))


def mix(run: Run, files: Sequence[Path]) -> Path:
    """Choose the weights of these networks and write `ensemble.json`, unless that is done."""
    path = run.folder / "ensemble.json"
    names = [os.path.relpath(file, run.folder) for file in files]
    if path.exists() and names == [member["file"] for member in json.loads(path.read_text())]:
        return path
    validation = run.sources.validation
    paths = [photo.path for photo in validation]
    predictions = [
        np.stack(list(densities(open_predictor(file), paths, file.parent.name, run)))
        for file in files
    ]
    human = np.stack([resampled(human, WHOLE, GRID) for human in human_densities(validation)])
    weights = mixture_weights(np.stack(predictions), human)
    members = [
        asdict(Member(name, round(float(weight), 4)))
        for name, weight in zip(names, weights, strict=True)
    ]
    with whole(path) as file:
        file.write_text(json.dumps(members, indent=2) + "\n")
    return path


def mixture_weights(
    predictions: NDArray[np.float32], human: NDArray[np.float32], rounds: int = 200
) -> NDArray[np.float64]:
    """The weights w that maximise Σ human · log Σ_m w_m prediction_m, by EM.

    Args:
        predictions: [members, photos, grid, grid], densities.
        human: [photos, grid, grid], shares of the fixations.
    """
    parts = predictions.reshape(len(predictions), -1).astype(np.float64) + 1e-12
    observed = human.ravel().astype(np.float64)
    weights = np.full(len(parts), 1 / len(parts))
    for _ in range(rounds):
        responsibility = weights[:, None] * parts
        responsibility /= responsibility.sum(axis=0)
        weights = responsibility @ observed / observed.sum()
    return weights


def write_targets(run: Run, ensemble: Path) -> NDArray[np.float32]:
    """The ensemble's density for each of the training photos, [photos, grid, grid].

    Raises:
        ValueError: the folder holds targets for other photos or of another ensemble.
    """
    paths = run.sources.training_paths
    made_of = {
        "ensemble": json.loads(ensemble.read_text()),
        "photos": [f"{path.parent.parent.name}/{path.name}" for path in paths],
    }
    target, record = run.folder / "targets.npy", run.folder / "targets.json"
    if not record.exists():
        open_memmap(target, "w+", np.float32, (len(paths), GRID, GRID)).flush()
        with whole(record) as file:
            file.write_text(json.dumps(made_of))
    elif json.loads(record.read_text()) != made_of:
        raise ValueError(f"{target} was made of other photos or teachers; remove it to go on")
    targets = open_memmap(target, "r+")
    todo = np.flatnonzero(targets.sum(axis=(1, 2)) == 0)  # a density sums to 1, a gap to 0
    mixture = Ensemble.read(ensemble)
    for start in track(range(0, len(todo), CHUNK), "soft targets"):
        chunk = todo[start : start + CHUNK]
        photos = [paths[index] for index in chunk]
        parts = [
            weight * np.stack(list(densities(predictor, photos, "", run)))
            for predictor, weight in zip(mixture.predictors, mixture.weights, strict=True)
        ]
        total = np.sum(parts, axis=0)
        targets[chunk] = total / total.sum(axis=(1, 2), keepdims=True)
        targets.flush()
    return np.asarray(targets)


def densities(
    predictor: Predictor, paths: Sequence[Path], name: str, run: Run
) -> Iterator[NDArray[np.float32]]:
    """A predictor's densities on the common grid; our own networks take photos in batches.

    Without a name there is no bar.
    """
    if not isinstance(predictor, FramedNetwork):
        for path in track(paths, name):
            yield on_grid(predictor(run.decoded(path)))
        return
    network = predictor.network.to(run.fabric.device)
    batches = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    for batch in track(batches, name):
        framed = [frame(run.decoded(path), network.sizes.canvas) for path in batch]
        tensors = [torch.from_numpy(np.stack(part)) for part in zip(*framed, strict=True)]
        with torch.inference_mode(), run.fabric.autocast():
            log_density = network.log_density(*(run.fabric.to_device(part) for part in tensors))
        yield from map(on_grid, _normal(log_density))


def _normal(log_density: torch.Tensor) -> NDArray[np.float32]:
    """Densities that sum to 1 to float32's precision whatever the network ran in."""
    flat = torch.softmax(log_density.float().flatten(1), dim=1)
    return np.asarray(flat.unflatten(1, log_density.shape[1:]).cpu().numpy(), np.float32)
