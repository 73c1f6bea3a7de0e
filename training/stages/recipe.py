"""One readable file configures a whole run (see `training/recipes/`)."""

import dataclasses
import re
import sys
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from training.networks.backbones import BackboneName
from training.networks.cost import GROUP
from training.networks.criteria import Criterion
from training.networks.student import StudentSizes
from training.networks.teacher import TeacherSizes
from training.stages.fit import Schedule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
RECIPE = Path(__file__).parents[1] / "recipes" / "student.toml"


@dataclass(frozen=True)
class Backbones:
    """The teachers on one backbone."""

    backbone: BackboneName
    weight: float  # in the ensemble
    sizes: TeacherSizes = field(default_factory=TeacherSizes)


@dataclass(frozen=True)
class Teachers:
    members: tuple[Backbones, ...]
    schedule: Schedule
    folds: int = 3  # parts of the training photos; a teacher for each, which never sees it

    @property
    def grid(self) -> int:
        """Side of their density, cells."""
        return self.members[0].sizes.grid

    def sizes_of(self, name: BackboneName) -> TeacherSizes:
        """What the teachers on a backbone are built of."""
        return next(member.sizes for member in self.members if member.backbone == name)


@dataclass(frozen=True)
class Least:
    """Feature maps that pruning leaves to the readout: few more that cost little help much."""

    lateral: int = GROUP
    readout: int = GROUP


@dataclass(frozen=True)
class Pruning:
    # Modelled times at which a student is kept; the least ends the pruning.
    milliseconds: tuple[float, ...]
    criterion: Criterion = "fisher per millisecond"  # see `training.networks.criteria`
    round_milliseconds: float = 0.2  # saved in each round
    batches: int = 6  # in each round: they collect the signal and repair the network
    batch: int = 16
    rate: float = 2.5e-3  # of SGD with momentum 0.9, as published
    crops: float = 0.2  # share of the examples that are cropped
    shrunk: float = 0.15  # share of the photos that take only a part of the canvas
    least: Least = field(default_factory=Least)


@dataclass(frozen=True)
class Averaging:
    seeds: tuple[int, ...]  # each takes the same steps with other draws
    schedule: Schedule
    fixation_share: float
    gaze_repeats: int


@dataclass(frozen=True)
class Ablation:
    milliseconds: float  # where the criteria are compared
    steps: int = 200  # of fine-tuning before that


@dataclass(frozen=True)
class Recipe:
    teachers: Teachers
    distillation: Schedule
    pruning: Pruning
    finetuning: Schedule
    averaging: Averaging
    shipped_milliseconds: float  # of `pruning.milliseconds`: the student that is fine-tuned
    ablation: Ablation
    smoothing: float = 0.01  # of fixations: the Gaussian's σ as a share of the photo's sides
    integrity_weight: float = 3.0  # of the second map's loss; 0 needs no detectors
    fixation_share: float = 0.15  # of targets on photos with fixations; the rest is the teachers'
    gaze_repeats: int = 1  # how often a photo with fixations comes for each without
    student: StudentSizes = field(default_factory=StudentSizes)
    precision: str = "bf16-mixed"
    seed: int = 0


class WrongValue(ValueError):
    """A value that the recipe cannot have."""

    def __init__(self, keys: Sequence[str], problem: str) -> None:
        super().__init__(f"{'.'.join(keys)}: {problem}" if keys else problem)
        self.keys = keys


def read(path: Path) -> Recipe:
    """A recipe from its TOML file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no TOML, a key is unknown or missing, or a value has the wrong type.
            The message names the file, the line and the key.
    """
    text = path.read_text(encoding="utf-8")
    try:
        recipe: Recipe = _build(Recipe, tomllib.loads(text), ())
        _check(recipe)
    except WrongValue as error:
        raise ValueError(f"{path}, line {_line(text, error.keys)}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    return recipe


def _check(recipe: Recipe) -> None:
    """What no type says."""
    kept = recipe.pruning.milliseconds
    if recipe.shipped_milliseconds not in kept:
        raise WrongValue(("shipped_milliseconds",), f"not among pruning.milliseconds {kept}")
    teachers = recipe.teachers
    if teachers.folds < 2:
        raise WrongValue(("teachers", "folds"), "at least 2: each teacher leaves one out")
    backbones = [member.backbone for member in teachers.members]
    if not backbones or len(set(backbones)) < len(backbones):
        raise WrongValue(("teachers", "members"), "each backbone at most once, and at least one")
    if len({member.sizes.grid for member in teachers.members}) > 1:
        raise WrongValue(("teachers", "members", "sizes", "grid"), "the same for all")
    if any(member.weight <= 0 for member in teachers.members):
        raise WrongValue(("teachers", "members", "weight"), "must be above 0")


def _build(kind: Any, value: Any, keys: tuple[str, ...]) -> Any:
    """A dataclass from a TOML table, and tuples from arrays, as the type hints say."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _build_dataclass(kind, value, keys)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise WrongValue(keys, f"an array is needed, not {value!r}")
        return tuple(_build(typing.get_args(kind)[0], item, keys) for item in value)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise WrongValue(keys, f"{value!r} is none of {', '.join(typing.get_args(kind))}")
        return value
    accepted = (int, float) if kind is float else (kind,)
    if type(value) not in accepted:  # not isinstance: true is no number
        raise WrongValue(keys, f"{TYPE_NAMES[kind]} is needed, not {value!r}")
    return value


def _build_dataclass(kind: type, value: Any, keys: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        raise WrongValue(keys, f"a table is needed, not {value!r}")
    hints = typing.get_type_hints(kind)
    if unknown := sorted(set(value) - set(hints)):
        raise WrongValue((*keys, unknown[0]), "unknown")
    parts = {name: _build(hints[name], value[name], (*keys, name)) for name in value}
    try:
        return kind(**parts)
    except TypeError as error:  # the constructor names the keys that are missing
        raise WrongValue(keys, str(error)) from error


def _line(text: str, keys: Sequence[str]) -> int:
    """The line where the last of nested keys stands, or the deepest that is found."""
    found = 0
    for key in keys:
        match = re.compile(rf"(?m)(?:^\s*\[?|[{{,.]\s*){re.escape(key)}\s*[=\].]").search(
            text, found
        )
        if match is None:
            break
        found = match.end() - 1
    return text.count("\n", 0, found) + 1
