"""All stages, from gaze data to the student.

    python -m training --data FOLDER [--imagenet FILE] [--recipe FILE] [--run FOLDER]

Interrupt it at any time; the same command goes on. Each stage also runs alone:
`training.teachers`, `.ensemble`, `.distillation`, `.frontier`.
"""

from training import student
from training.cost import macs
from training.distillation import distil, distillation_examples, learn
from training.ensemble import mix, write_targets
from training.frontier import human_examples, prune, student_name
from training.pruning import GMAC
from training.recipe import Run, from_command_line
from training.sources import Sources
from training.teachers import train_teachers


def train(run: Run) -> student.Student:
    """Teachers → soft targets → distillation → pruning → fine-tuning."""
    sources = Sources(run.data)
    train_teachers(run, sources)
    targets = write_targets(run, sources, mix(run, sources))
    examples = distillation_examples(run, sources, targets, run.recipe.seed)
    network = distil(run, examples)
    validation = human_examples(sources.validation, network)
    prune(run, run.recipe.pruning, run.folder / "pruned", network, examples, validation)
    final = run.folder / "student" / "student.safetensors"
    if not final.exists():
        pruned = student.load(run.folder / "pruned" / student_name(run.recipe.shipped_gmac))
        learn(run, pruned, examples, run.recipe.finetuning, "student")
    return student.load(final)


def main() -> None:
    run = from_command_line("train a student, from gaze data to a checkpoint")
    network = train(run)
    path = run.folder / "student" / "student.safetensors"
    run.fabric.print(f"wrote {path}: {macs(network.sizes) / GMAC:.3f} GMAC a photo")


if __name__ == "__main__":
    main()
