"""Mix the teachers, and write down what they say of every training photo.

    python -m training.stages.ensemble --data FOLDER [--member FILE …]

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
from rich.progress import track

from training.data.examples import resampled
from training.data.fixations import read_pixels
from training.data.framing import frame
from training.data.sources import WHOLE, Sources, human_densities
from training.networks.predictors import (
    GRID,
    Ensemble,
    FramedNetwork,
    Member,
    Predictor,
    on_grid,
    open_predictor,
)
from training.stages.recipe import Run, from_command_line

CHUNK = 32  # photos between two saves


def soft_targets(run: Run, sources: Sources) -> NDArray[np.float32]:
    """The mixture's density for each of the training photos, [photos, grid, grid]."""
    with run.fabric.rank_zero_first():  # the others then find both files written
        return write_targets(run, sources, mix(run, sources))


def mix(run: Run, sources: Sources) -> Path:
    """Choose the weights and write `ensemble.json`, unless that is done."""
    path = run.folder / "ensemble.json"
    if path.exists():
        return path
    files = [*sorted(run.folder.glob("teacher-*/teacher.safetensors")), *run.members]
    if not files:
        raise ValueError(f"{run.folder} holds no teacher: run training.stages.teachers first")
    paths = [photo.path for photo in sources.validation]
    predictions = [
        np.stack(list(densities(open_predictor(file), paths, file.parent.name, run)))
        for file in files
    ]
    human = np.stack(
        [resampled(human, WHOLE, GRID) for human in human_densities(sources.validation)]
    )
    weights = mixture_weights(np.stack(predictions), human)
    members = [
        Member(os.path.relpath(file, run.folder), round(float(weight), 4))
        for file, weight in zip(files, weights, strict=True)
    ]
    path.write_text(json.dumps([asdict(member) for member in members], indent=2) + "\n")
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


def write_targets(run: Run, sources: Sources, ensemble: Path) -> NDArray[np.float32]:
    """The ensemble's density for each of the training photos, [photos, grid, grid].

    Raises:
        ValueError: the folder holds targets for other photos or of another ensemble.
    """
    paths = sources.training_paths
    made_of = {
        "ensemble": json.loads(ensemble.read_text()),
        "photos": [f"{path.parent.parent.name}/{path.name}" for path in paths],
    }
    target, record = run.folder / "targets.npy", run.folder / "targets.json"
    if not record.exists():
        open_memmap(target, "w+", np.float32, (len(paths), GRID, GRID)).flush()
        record.write_text(json.dumps(made_of))
    elif json.loads(record.read_text()) != made_of:
        raise ValueError(f"{target} was made of other photos or teachers; remove it to go on")
    targets = open_memmap(target, "r+")
    todo = np.flatnonzero(targets.sum(axis=(1, 2)) == 0)  # a density sums to 1, a gap to 0
    mixture = Ensemble.read(ensemble)
    for start in track(range(0, len(todo), CHUNK), "soft targets", disable=not len(todo)):
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
    """A predictor's densities on the common grid; our own networks take photos in batches."""
    if not isinstance(predictor, FramedNetwork):
        for path in track(paths, name, disable=not name):
            yield on_grid(predictor(read_pixels(path)))
        return
    network = predictor.network.to(run.fabric.device)
    batches = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    for batch in track(batches, name, disable=not name):
        framed = [frame(read_pixels(path), network.sizes.canvas) for path in batch]
        tensors = [torch.from_numpy(np.stack(part)) for part in zip(*framed, strict=True)]
        with torch.inference_mode(), run.fabric.autocast():
            log_density = network.log_density(*(run.fabric.to_device(part) for part in tensors))
        yield from map(on_grid, _normal(log_density))


def _normal(log_density: torch.Tensor) -> NDArray[np.float32]:
    """Densities that sum to 1 to float32's precision whatever the network ran in."""
    flat = torch.softmax(log_density.float().flatten(1), dim=1)
    return np.asarray(flat.unflatten(1, log_density.shape[1:]).cpu().numpy(), np.float32)


def main() -> None:
    run = from_command_line("mix the teachers and write their soft targets")
    soft_targets(run, Sources(run.data))


if __name__ == "__main__":
    main()
