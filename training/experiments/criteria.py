"""Does the published criterion pay? Prune to one cost by each, with the same learning.

    python -m training.experiments.criteria --data FOLDER

Fisher with cost, Fisher without, L1 and random, from the same distilled student: every round
saves as much and learns as long, and at the end all are fine-tuned for some steps more. The
validation losses are in `ablation.json`. Finished parts are kept when it is interrupted.
"""

import json
from dataclasses import replace

from training.data.sources import Sources
from training.networks import student
from training.networks.cost import macs
from training.networks.fisher import GMAC, Criterion
from training.stages.distillation import distil, distillation_examples, learn
from training.stages.ensemble import soft_targets
from training.stages.pruning import human_examples, prune, student_name, validation_loss
from training.stages.recipe import from_command_line

CRITERIA: tuple[Criterion, ...] = ("fisher cost", "fisher ratio", "fisher", "l1", "random")


def main() -> None:
    run = from_command_line("compare the criteria of pruning")
    recipe, sources = run.recipe, Sources(run.data)
    targets = soft_targets(run, sources)
    examples = distillation_examples(run, sources, targets, recipe.seed)
    distilled = distil(run, examples)
    validation = human_examples(sources.validation, distilled)
    results = {"distilled": {"loss": validation_loss(distilled, validation, run)}}
    for criterion in CRITERIA:
        name = f"ablation/{criterion.replace(' ', '-')}"
        pruning = replace(recipe.pruning, criterion=criterion, gmac=(recipe.ablation.gmac,))
        network = student.load(run.folder / "distilled.safetensors")
        prune(run, pruning, run.folder / name, network, examples, validation)
        pruned = student.load(run.folder / name / student_name(recipe.ablation.gmac))
        before = validation_loss(pruned, validation, run)
        path = run.folder / name / "tuned.safetensors"
        learn(run, pruned, examples, replace(recipe.finetuning, steps=recipe.ablation.steps), path)
        tuned = student.load(path)
        results[criterion] = {
            "gmac": macs(tuned.sizes) / GMAC,
            "pruned loss": before,
            "loss": validation_loss(tuned, validation, run),
        }
        (run.folder / "ablation.json").write_text(json.dumps(results, indent=2) + "\n")
        print(criterion, results[criterion], flush=True)


if __name__ == "__main__":
    main()
