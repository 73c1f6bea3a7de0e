"""Stage 8, weight averaging: last steps by several seeds, and the mean of their weights.

Fixations of the training photos alone are soon learned by heart; so these steps are nearer to
the teachers' targets than those before, and see no crops. The mean of the weights that several
seeds reach from one start predicts better than most of them do: a model soup (Wortsman et al.,
2022, arXiv 2203.05482).
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from training.networks import student
from training.stages.finetuning import finetune
from training.stages.run import Run
from training.stages.targets import distillation_examples, learn


def average(run: Run) -> Path:
    """The checkpoint of the student that ships."""
    path, recipe = run.folder / "student.safetensors", run.recipe.averaging
    if run.has(path.name):
        return path
    finetuned = finetune(run)
    examples = distillation_examples(run, recipe.fixation_share, recipe.gaze_repeats)
    members = [f"averaged/{seed}.safetensors" for seed in recipe.seeds]
    for seed, member in zip(recipe.seeds, members, strict=True):
        if not run.has(member):
            network = student.load(finetuned)
            learn(run, network, examples.with_seed(seed), recipe.schedule, run.folder / member)
    if run.fabric.is_global_zero:
        student.save(mean([student.load(run.folder / member) for member in members]), path)
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
