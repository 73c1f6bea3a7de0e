"""Stage 7, fine-tuning: the pruned student of the cost that ships learns the targets again."""

from pathlib import Path

from training.networks import student
from training.stages.pruning import prune
from training.stages.run import Run
from training.stages.targets import distillation_examples, learn


def finetune(run: Run) -> Path:
    """The checkpoint of the fine-tuned student."""
    pruned = prune(run)
    path = run.folder / "finetuned" / pruned.name
    if not run.has(f"finetuned/{pruned.name}"):
        examples = distillation_examples(run)
        learn(run, student.load(pruned), examples, run.recipe.finetuning, path)
    return path
