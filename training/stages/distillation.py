"""Stage 3, distillation: the ensemble's targets, and a student before pruning that learns them.

The loss is the cross-entropy to the ensemble's densities; on photos with fixations the target
is a mixture of these and the human density, `fixation_share` of it human. The cross-entropy
is linear in its target, so this is the published sum of two losses (Theis et al., 2018,
section 2.2).
"""

from pathlib import Path

import torch

from training.data.examples import Examples
from training.data.sources import mixed
from training.networks import student
from training.stages.ensemble import soft_targets
from training.stages.fit import Schedule, fit
from training.stages.run import Run


def distil(run: Run) -> student.Student:
    """The student before pruning, from ImageNet's weights if the run has them."""
    path = run.folder / "distilled.safetensors"
    if not run.has(path.name):
        examples = distillation_examples(run)
        torch.manual_seed(run.recipe.seed)
        network = student.Student(run.recipe.student)
        if run.imagenet:
            network.features.load_imagenet(run.imagenet)
        learn(run, network, examples, run.recipe.distillation, path)
    return student.load(path)


def distillation_examples(
    run: Run, fixation_share: float | None = None, gaze_repeats: int | None = None
) -> Examples:
    """All training photos with the targets that a student learns from; by default the recipe's."""
    recipe, sources, targets = run.recipe, run.sources, soft_targets(run)
    share = recipe.fixation_share if fixation_share is None else fixation_share
    repeats = recipe.gaze_repeats if gaze_repeats is None else gaze_repeats
    gazed = len(sources.training)
    human = [
        mixed(density, target, share)
        for density, target in zip(sources.human, targets[:gazed], strict=True)
    ]
    paths, sizes = sources.training_paths, recipe.student
    return Examples(
        paths[:gazed] * repeats + paths[gazed:],
        human * repeats + list(targets[gazed:]),
        sizes.canvas,
        sizes.grid,
        augment=True,
        seed=recipe.seed,
        read=run.decoded,
    )


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
