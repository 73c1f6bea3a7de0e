"""Distil the teachers into a student: before pruning, and again after it.

    python -m training.stages.distillation --data FOLDER [--imagenet FILE]

The loss is the cross-entropy to the ensemble's densities; on photos with fixations the target
is a mixture of these and the human density, `fixation_share` of it human. The cross-entropy
is linear in its target, so this is the published sum of two losses (Theis et al., 2018,
section 2.2).
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.examples import Examples
from training.data.sources import Sources, mixed
from training.networks import student
from training.stages.ensemble import soft_targets
from training.stages.fit import Schedule, fit
from training.stages.recipe import Run, from_command_line


def distillation_examples(
    run: Run, sources: Sources, targets: NDArray[np.float32], seed: int
) -> Examples:
    """All training photos with the targets that a student learns from."""
    recipe, gazed = run.recipe, len(sources.training)
    human = [
        mixed(density, target, recipe.fixation_share)
        for density, target in zip(sources.human, targets[:gazed], strict=True)
    ]
    paths, sizes = sources.training_paths, recipe.student
    return Examples(
        paths[:gazed] * recipe.gaze_repeats + paths[gazed:],
        human * recipe.gaze_repeats + list(targets[gazed:]),
        sizes.canvas,
        sizes.grid,
        augment=True,
        seed=seed,
    )


def distil(run: Run, examples: Examples) -> student.Student:
    """The student before pruning, from ImageNet's weights if the run has them."""
    path = run.folder / "distilled.safetensors"
    if not path.exists():
        torch.manual_seed(run.recipe.seed)
        network = student.Student(run.recipe.student)
        if run.imagenet:
            network.features.load_imagenet(run.imagenet)
        learn(run, network, examples, run.recipe.distillation, path)
    return student.load(path)


def learn(
    run: Run, network: student.Student, examples: Examples, schedule: Schedule, path: Path
) -> None:
    """Train a student on the targets and save it; the state of the fit is kept beside."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = path.with_suffix("")
    trained = fit(network, examples, schedule, state, run.fabric, run.recipe.seed)
    if run.fabric.is_global_zero:
        student.save(trained, path)
    run.fabric.barrier()


def main() -> None:
    run = from_command_line("distil the teachers into a student")
    sources = Sources(run.data)
    targets = soft_targets(run, sources)
    distil(run, distillation_examples(run, sources, targets, run.recipe.seed))


if __name__ == "__main__":
    main()
