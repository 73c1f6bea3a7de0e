"""Gaze data → the shipped student, stage by stage.

    python -m training [STAGE …] --data FOLDER --weights FOLDER [--recipe FILE] [--out FOLDER]
        [--leave-out SET …]

With --leave-out osie nothing learns from the set `osie`, and nothing is chosen by it:
`training.evaluation.evaluate --elsewhere FOLDER/osie` then says how well the rest prepares for it.

Without a STAGE it goes to the last. Each first runs those that it needs, and keeps what is done:
interrupt it at any time; the same command goes on. The stages are in `training.stages`, a module
and a function for each; `training.stages.run` says what they leave.
"""

from collections.abc import Callable

from training.networks import student
from training.networks.cost import GMAC, macs, milliseconds
from training.stages.averaging import average
from training.stages.distillation import distil
from training.stages.ensemble import soft_targets
from training.stages.features import cached_features
from training.stages.finetuning import finetune
from training.stages.integrity import integrity_targets
from training.stages.pruning import prune
from training.stages.run import Run, arguments, start
from training.stages.teachers import train_teachers

STAGES: dict[str, Callable[[Run], object]] = {
    "features": cached_features,
    "teachers": train_teachers,
    "ensemble": soft_targets,
    "integrity": integrity_targets,
    "distillation": distil,
    "pruning": prune,
    "finetuning": finetune,
    "averaging": average,
}


def main() -> None:
    parser = arguments("train a student, from gaze data to a checkpoint")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(STAGES))
    args = parser.parse_args()
    if unknown := [name for name in args.stages if name not in STAGES]:
        parser.error(f"no stage is called {unknown[0]}; there are {', '.join(STAGES)}")
    run = start(parser, args)
    for name in args.stages or list(STAGES)[-1:]:
        STAGES[name](run)
    checkpoint = run.folder / "student.safetensors"
    if checkpoint.exists() and run.fabric.is_global_zero:
        sizes = student.load(checkpoint).sizes
        cost = f"{macs(sizes) / GMAC:.3f} GMAC and some {milliseconds(sizes):.2f} ms"
        print(f"{checkpoint}: {cost} a photo")


if __name__ == "__main__":
    main()
