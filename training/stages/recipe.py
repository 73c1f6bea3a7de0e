"""One readable file configures a whole run (see `training/recipes/`), and one folder holds it.

RUN/teacher-0/ …     a teacher for each seed: its state, log and checkpoint
RUN/ensemble.json    the mixture, with weights chosen on the validation photos
RUN/targets.npy      its densities for all training photos
RUN/distilled…       the student before pruning
RUN/pruned/          students of falling cost, and the frontier
RUN/tuned/           the student that was fine-tuned after it
RUN/polished/        the same after the last steps, for each seed
RUN/student…         their mean: the one that ships
"""

import argparse
import dataclasses
import sys
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning_fabric
import torch

from training.networks.fisher import Criterion
from training.networks.student import StudentSizes
from training.networks.teacher import TeacherSizes
from training.stages.fit import Schedule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


RECIPE = Path(__file__).parents[1] / "recipes" / "student.toml"


@dataclass(frozen=True)
class Teachers:
    seeds: tuple[int, ...]
    schedule: Schedule
    sizes: TeacherSizes = field(default_factory=TeacherSizes)


@dataclass(frozen=True)
class Pruning:
    gmac: tuple[float, ...]  # costs at which a student is kept; the last ends the pruning
    criterion: Criterion = "fisher cost"
    beta: float = 0.03  # nats that a saved GMAC is worth
    round_gmac: float = 0.002  # saved in each round
    batches: int = 10  # in each round: they collect the signal and repair the network
    batch: int = 16
    rate: float = 2.5e-3  # of SGD with momentum 0.9, as published
    crops: float = 0.1  # share of the examples that are cropped


@dataclass(frozen=True)
class Polishing:
    seeds: tuple[int, ...]  # each takes the same steps with other draws
    schedule: Schedule
    fixation_share: float
    gaze_repeats: int


@dataclass(frozen=True)
class Ablation:
    gmac: float = 0.15  # where the criteria are compared
    steps: int = 200  # of fine-tuning before that


@dataclass(frozen=True)
class Recipe:
    teachers: Teachers
    distillation: Schedule
    pruning: Pruning
    finetuning: Schedule
    polishing: Polishing
    shipped_gmac: float  # of `pruning.gmac`: the student that is fine-tuned
    ablation: Ablation = field(default_factory=Ablation)
    fixation_share: float = (
        0.3  # of the targets on photos with fixations; the teachers have the rest
    )
    gaze_repeats: int = 1  # how often a photo with fixations comes for each without
    student: StudentSizes = field(default_factory=StudentSizes)
    precision: str = "bf16-mixed"
    seed: int = 0


def read(path: Path) -> Recipe:
    """A recipe from its TOML file.

    Raises:
        ValueError: a key is unknown or missing; the message names it.
    """
    recipe: Recipe = _build(Recipe, tomllib.loads(path.read_text()), path.name)
    return recipe


def _build(kind: Any, value: Any, where: str) -> Any:
    """A dataclass from a TOML table, and tuples from arrays, as the type hints say."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        if unknown := set(value) - set(hints):
            raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))}")
        parts = {name: _build(hints[name], value[name], f"{where}: {name}") for name in value}
        try:
            return kind(**parts)
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from error
    if typing.get_origin(kind) is tuple:
        return tuple(_build(typing.get_args(kind)[0], item, where) for item in value)
    return value


@dataclass(frozen=True)
class Run:
    """What every stage gets: the recipe, the data, the folder and the devices."""

    recipe: Recipe
    data: Path
    folder: Path
    fabric: lightning_fabric.Fabric
    imagenet: Path | None = None
    members: tuple[Path, ...] = ()  # networks beside our teachers in the ensemble


def from_command_line(description: str) -> Run:
    """The arguments that all stages share; starts the devices."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a folder of fixation sets, and of unlabelled photos in photos/",
    )
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--out", type=Path, default=Path("runs/student"), help="resumable results")
    parser.add_argument("--imagenet", type=Path, help="MobileNetV2's weights to start from")
    parser.add_argument(
        "--member", type=Path, action="append", default=[], help="another network in the ensemble"
    )
    parser.add_argument("--devices", default="auto", help="how many; torchrun sets its own")
    args = parser.parse_args()
    recipe = read(args.recipe)
    devices = args.devices if args.devices == "auto" else int(args.devices)
    if devices == "auto" and not torch.cuda.is_available():
        devices = 1
    fabric = lightning_fabric.Fabric(devices=devices, precision=recipe.precision)  # type: ignore[arg-type]
    fabric.launch()
    return Run(recipe, args.data, args.out, fabric, args.imagenet, tuple(args.member))
