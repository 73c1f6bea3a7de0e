"""Does the published criterion pay? Prune to one cost by each, with the same learning.

    python -m training.ablation --data FOLDER

Fisher with cost, Fisher without, L1 and random, from the same distilled student: every round
saves as much and learns as long, and at the end all are fine-tuned for `STEPS` more. The
validation losses are in `ablation.json`. Finished parts are kept when it is interrupted.
"""

import json
from dataclasses import replace

from training import student
from training.cost import macs
from training.distillation import distil, distillation_examples, learn
from training.ensemble import mix, write_targets
from training.frontier import human_examples, prune, student_name, validation_loss
from training.pruning import GMAC, Criterion
from training.recipe import from_command_line
from training.sources import Sources

CRITERIA: tuple[Criterion, ...] = ("fisher cost", "fisher ratio", "fisher", "l1", "random")
COST = 0.15  # GMAC
STEPS = 200


def main() -> None:
    run = from_command_line("compare the criteria of pruning")
    sources = Sources(run.data)
    targets = write_targets(run, sources, mix(run, sources))
    examples = distillation_examples(run, sources, targets, run.recipe.seed)
    distilled = distil(run, examples)
    validation = human_examples(sources.validation, distilled)
    results = {"distilled": {"loss": validation_loss(distilled, validation, run)}}
    for criterion in CRITERIA:
        name = f"ablation/{criterion.replace(' ', '-')}"
        recipe = replace(run.recipe.pruning, criterion=criterion, gmac=(COST,))
        network = student.load(run.folder / "distilled" / "student.safetensors")
        prune(run, recipe, run.folder / name, network, examples, validation)
        pruned = student.load(run.folder / name / student_name(COST))
        before = validation_loss(pruned, validation, run)
        learn(run, pruned, examples, replace(run.recipe.finetuning, steps=STEPS), name)
        tuned = student.load(run.folder / name / "student.safetensors")
        results[criterion] = {
            "gmac": macs(tuned.sizes) / GMAC,
            "pruned loss": before,
            "loss": validation_loss(tuned, validation, run),
        }
        (run.folder / "ablation.json").write_text(json.dumps(results, indent=2) + "\n")
        print(criterion, results[criterion], flush=True)


if __name__ == "__main__":
    main()
