"""What the student learns, and its loss: two maps for each photo, from teachers and detectors.

The density's loss is the cross-entropy to the teachers' density; on photos with fixations the
target is a mixture of this and the human density, `fixation_share` of it human. The cross-entropy
is linear in its target, so this is the published sum of two losses (Theis et al., 2018, section
2.2). The integrity's is the mean over cells of the binary cross-entropy to what the detectors find.
It counts `integrity_weight` times, and only if that is not 0 does a run need the detectors.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.data.examples import Examples
from training.data.sources import mixed, smoothed
from training.networks import student
from training.stages.ensemble import soft_targets
from training.stages.fit import Batch, Loss, Schedule, cross_entropy, fit
from training.stages.integrity import integrity_targets
from training.stages.run import Run


def distillation_examples(
    run: Run, fixation_share: float | None = None, gaze_repeats: int | None = None
) -> Examples:
    """All training photos with the maps that a student learns from; by default the recipe's."""
    recipe, sources, targets = run.recipe, run.sources, soft_targets(run)
    share = recipe.fixation_share if fixation_share is None else fixation_share
    repeats = recipe.gaze_repeats if gaze_repeats is None else gaze_repeats
    gazed = len(sources.training)
    human = [
        mixed(smoothed(density, recipe.smoothing), target, share)
        for density, target in zip(sources.human, targets[:gazed], strict=True)
    ]
    paths, sizes = sources.training_paths, recipe.student
    integrity = _integrity(run)
    return Examples(
        paths[:gazed] * repeats + paths[gazed:],
        human * repeats + list(targets[gazed:]),
        sizes.canvas,
        sizes.grid,
        augment=True,
        seed=recipe.seed,
        read=run.decoded,
        integrity=integrity and integrity[:gazed] * repeats + integrity[gazed:],
    )


def _integrity(run: Run) -> list[NDArray[np.float32]] | None:
    """How much of each cell a cut spoils, for each photo; None if nobody learns it."""
    if not run.recipe.integrity_weight:
        return None
    return list(integrity_targets(run).max(axis=1).astype(np.float32))


def both_losses(weight: float) -> Loss[student.Student]:
    """The loss of both maps, of each example in nats; that of integrity counts `weight` times."""

    def loss(network: student.Student, batch: Batch) -> Tensor:
        pixels, extent, density, integrity = batch
        log_density, logits = network.predict(pixels, extent)
        found = cross_entropy(log_density, density)
        if not weight:
            return found
        spoilt = F.binary_cross_entropy_with_logits(logits.float(), integrity, reduction="none")
        return found + weight * spoilt.mean(dim=(1, 2))

    return loss


def learn(
    run: Run, network: student.Student, examples: Examples, schedule: Schedule, path: Path
) -> None:
    """Train a student on the targets and save it; the state of the fit is kept beside."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = fit(
        network,
        examples.augmented(schedule.crops, schedule.shrunk),
        both_losses(run.recipe.integrity_weight),
        schedule,
        path.with_suffix(""),
        run.fabric,
        run.recipe.seed,
    )
    if run.fabric.is_global_zero:
        student.save(trained, path)
    run.fabric.barrier()
