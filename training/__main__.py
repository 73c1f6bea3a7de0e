"""All stages, from gaze data to the student.

    python -m training --data FOLDER [--imagenet FILE] [--recipe FILE] [--out FOLDER]

Interrupt it at any time; the same command goes on. Each stage also runs alone:
`training.stages.teachers`, `.ensemble`, `.distillation`, `.pruning`, `.averaging`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.sources import Sources
from training.networks import student
from training.networks.cost import macs
from training.networks.fisher import GMAC
from training.stages.averaging import polish
from training.stages.distillation import distil, distillation_examples, learn
from training.stages.ensemble import soft_targets
from training.stages.pruning import human_examples, prune, student_name
from training.stages.recipe import Run, from_command_line
from training.stages.teachers import train_teachers

Targets = NDArray[np.float32]


def train(run: Run) -> Path:
    """Teachers → soft targets → distillation → pruning → last steps; the student's checkpoint."""
    sources = Sources(run.data)
    train_teachers(run, sources)
    targets = soft_targets(run, sources)
    distil_and_prune(run, sources, targets)
    return polish(run, sources, targets)


def distil_and_prune(run: Run, sources: Sources, targets: Targets) -> None:
    """Leave the student of the cost that ships, fine-tuned, in `tuned/`."""
    examples = distillation_examples(run, sources, targets, run.recipe.seed)
    network = distil(run, examples)
    validation = human_examples(sources.validation, network)
    with run.fabric.rank_zero_first():  # a few minutes on one device; the others wait
        prune(run, run.recipe.pruning, run.folder / "pruned", network, examples, validation)
    tuned = run.folder / "tuned" / student_name(run.recipe.shipped_gmac)
    if not tuned.exists():
        pruned = student.load(run.folder / "pruned" / tuned.name)
        learn(run, pruned, examples, run.recipe.finetuning, tuned)


def main() -> None:
    run = from_command_line("train a student, from gaze data to a checkpoint")
    checkpoint = train(run)
    if run.fabric.is_global_zero:
        gmac = macs(student.load(checkpoint).sizes) / GMAC
        print(f"wrote {checkpoint}: {gmac:.3f} GMAC a photo")


if __name__ == "__main__":
    main()
