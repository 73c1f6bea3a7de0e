"""Does the published criterion pay? Prune to one cost by each, with the same learning.

    python -m training.experiments.criteria --data FOLDER

Each of `training.networks.criteria` starts from the same distilled student: every round saves as
much and learns as long, and at the end all are fine-tuned for some steps more. The validation
losses are in `ablation.json`. Finished parts are kept when it is interrupted.
"""

import json
from dataclasses import replace

from training.files import whole
from training.networks import student
from training.networks.cost import GMAC, macs, milliseconds
from training.networks.criteria import CRITERIA
from training.stages.distillation import distil
from training.stages.pruning import prune_to, student_name, validation_examples, validation_loss
from training.stages.run import Run, arguments, start
from training.stages.targets import distillation_examples, learn


def compare(run: Run) -> None:
    recipe, validation = run.recipe, validation_examples(run)
    schedule = replace(recipe.finetuning, steps=recipe.ablation.steps)
    distilled = distil(run)
    results = {
        "distilled": {
            "milliseconds": milliseconds(distilled.sizes),
            "gmac": macs(distilled.sizes) / GMAC,
            "loss": validation_loss(distilled, validation, run),
        }
    }
    for criterion in CRITERIA:
        name = f"ablation/{criterion.replace(' ', '-')}"
        time = recipe.ablation.milliseconds
        prune_to(run, replace(recipe.pruning, criterion=criterion, milliseconds=(time,)), name)
        pruned = student.load(run.folder / name / student_name(time))
        before = validation_loss(pruned, validation, run)
        path = run.folder / name / "finetuned.safetensors"
        learn(run, pruned, distillation_examples(run), schedule, path)
        finetuned = student.load(path)
        results[criterion] = {
            "milliseconds": milliseconds(finetuned.sizes),
            "gmac": macs(finetuned.sizes) / GMAC,
            "pruned loss": before,
            "loss": validation_loss(finetuned, validation, run),
        }
        with whole(run.folder / "ablation.json") as file:
            file.write_text(json.dumps(results, indent=2) + "\n")
        print(criterion, results[criterion], flush=True)


def main() -> None:
    parser = arguments("compare the criteria of pruning")
    compare(start(parser, parser.parse_args()))


if __name__ == "__main__":
    main()
