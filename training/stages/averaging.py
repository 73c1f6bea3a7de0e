"""The student's last steps, several times over, and the mean of what they lead to.

    python -m training.stages.averaging --data FOLDER

Fixations of the training photos alone are soon learned by heart; so these steps are nearer to
the teachers' targets than those before, and see no crops. The mean of the weights that several
seeds reach from one start predicts better than most of them do (Wortsman et al., 2022, "Model
soups").
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.sources import Sources
from training.networks import student
from training.stages.distillation import distillation_examples, learn
from training.stages.ensemble import soft_targets
from training.stages.pruning import student_name
from training.stages.recipe import Run, from_command_line


def polish(run: Run, sources: Sources, targets: NDArray[np.float32]) -> Path:
    """Take the fine-tuned student through its last steps, unless done; its checkpoint."""
    path = run.folder / "student.safetensors"
    if path.exists():
        return path
    recipe = run.recipe.polishing
    tuned = run.folder / "tuned" / student_name(run.recipe.shipped_gmac)
    mix = replace(
        run.recipe, fixation_share=recipe.fixation_share, gaze_repeats=recipe.gaze_repeats
    )
    examples = distillation_examples(replace(run, recipe=mix), sources, targets, run.recipe.seed)
    polished = [run.folder / "polished" / f"{seed}.safetensors" for seed in recipe.seeds]
    for seed, file in zip(recipe.seeds, polished, strict=True):
        if not file.exists():
            learn(run, student.load(tuned), examples.with_seed(seed), recipe.schedule, file)
    if run.fabric.is_global_zero:
        student.save(mean([student.load(file) for file in polished]), path)
    run.fabric.barrier()
    return path


def mean(networks: Sequence[student.Student]) -> student.Student:
    """The student whose weights are the mean of these; they have one shape."""
    states = [network.state_dict() for network in networks]
    averaged = {
        name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]
    }
    result = student.Student(networks[0].sizes)
    result.load_state_dict(averaged)
    return result.eval()


def main() -> None:
    run = from_command_line("take the fine-tuned student through its last steps")
    sources = Sources(run.data)
    polish(run, sources, soft_targets(run, sources))


if __name__ == "__main__":
    main()
