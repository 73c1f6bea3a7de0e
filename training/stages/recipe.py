"""One readable file configures a whole run (see `training/recipes/`)."""

import dataclasses
import sys
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.networks.criteria import Criterion
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
    criterion: Criterion = "fisher and cost"  # `training.networks.criteria` says what they mean
    beta: float = 0.03  # nats that a saved GMAC is worth to "fisher and cost"
    round_gmac: float = 0.002  # saved in each round
    batches: int = 10  # in each round: they collect the signal and repair the network
    batch: int = 16
    rate: float = 2.5e-3  # of SGD with momentum 0.9, as published
    crops: float = 0.1  # share of the examples that are cropped


@dataclass(frozen=True)
class Averaging:
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
    averaging: Averaging
    shipped_gmac: float  # of `pruning.gmac`: the student that is fine-tuned
    ablation: Ablation = field(default_factory=Ablation)
    fixation_share: float = 0.3  # of targets on photos with fixations; the rest is the teachers'
    gaze_repeats: int = 1  # how often a photo with fixations comes for each without
    student: StudentSizes = field(default_factory=StudentSizes)
    precision: str = "bf16-mixed"
    seed: int = 0


def read(path: Path) -> Recipe:
    """A recipe from its TOML file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no TOML, or a key is unknown or missing; the message names it.
    """
    recipe: Recipe = _build(Recipe, tomllib.loads(path.read_text("utf-8")), path.name)
    if recipe.shipped_gmac not in recipe.pruning.gmac:
        raise ValueError(f"{path.name}: shipped_gmac {recipe.shipped_gmac} is not in pruning.gmac")
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
    if typing.get_origin(kind) is typing.Literal and value not in typing.get_args(kind):
        raise ValueError(f"{where}: {value!r} is none of {', '.join(typing.get_args(kind))}")
    return value
