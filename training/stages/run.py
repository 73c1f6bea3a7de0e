"""A training run: its recipe, photos, devices, and the folder that holds what its stages leave.

RUN/sets.json        the fixation sets that it learns from
RUN/features/        what the frozen networks see in the photos with fixations; gigabytes
RUN/teachers/        for each backbone and fold a teacher that never saw it, its state and log
RUN/ensemble.json    the mixture of all teachers
RUN/targets.npy      the densities that they give all training photos
RUN/integrity.npy    heads and lines of text in all training photos
RUN/distilled…       the student before pruning
RUN/pruned/          students of falling cost, and what each costs in loss: `curve.jsonl`
RUN/finetuned/       the student that ships, fine-tuned
RUN/averaged/        the same after its last steps, for each seed
RUN/student…         the mean of their weights: the one that ships
"""

import argparse
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import lightning_fabric
import numpy as np
import torch
from numpy.typing import NDArray

from training.data.fixations import read_pixels
from training.data.sources import Sources
from training.detectors.weights import check_installed
from training.networks import student
from training.networks.backbones import weights_file
from training.stages.recipe import RECIPE, Recipe, read


@dataclass(frozen=True)
class Run:
    """What every stage gets."""

    recipe: Recipe
    sources: Sources
    folder: Path
    fabric: lightning_fabric.Fabric
    weights: Path  # a folder of networks trained on ImageNet (`training.networks.backbones`)
    start: Path | None = None  # an earlier student to learn on
    decoded: Callable[[Path], NDArray[np.uint8]] = field(  # every stage reads the same photos
        default_factory=lambda: functools.cache(read_pixels), repr=False
    )

    def has(self, *files: str) -> bool:
        """Whether the run's folder holds these: one answer for all ranks, who call it together."""
        held = all((self.folder / file).exists() for file in files)
        return bool(self.fabric.broadcast(held))


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line of a run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a folder of fixation sets, and of unlabelled photos in photos/",
    )
    parser.add_argument(
        "--leave-out", metavar="SET", action="append", default=[], help="a set to test on later"
    )
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--out", type=Path, default=Path("runs/student"), help="resumable results")
    parser.add_argument(
        "--weights",
        type=Path,
        required=True,
        help="a folder of NAME_imagenet.safetensors: the backbones' weights",
    )
    parser.add_argument("--start", type=Path, help="an earlier student's checkpoint to start from")
    parser.add_argument("--devices", default="auto", help="how many; torchrun sets its own")
    return parser


def keep_to_sets(folder: Path, sets: list[str]) -> None:
    """Write down what a run learns from: its teachers must not know a set that tests it.

    Raises:
        ValueError: the run was begun with other sets.
    """
    record = folder / "sets.json"
    if record.exists():
        if (begun := json.loads(record.read_text(encoding="utf-8"))) != sets:
            raise ValueError(f"{folder} was begun with {begun}, not {sets}: name another --out")
        return
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(sets) + "\n", encoding="utf-8")


def _check_weights(recipe: Recipe, folder: Path) -> None:
    """Raise before any work if a network that learns nothing itself is missing."""
    for member in recipe.teachers.members:
        weights_file(folder, member.backbone)
    weights_file(folder, "mobilenet_v2")  # the student's start
    if recipe.integrity_weight:
        try:
            check_installed()
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error}; or train without the second map: integrity_weight = 0 in the recipe"
            ) from error


def start(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Run:
    """Check what the command line names, and start the devices.

    A missing file, or a mistake in the recipe or the data, ends the program with a message.
    """
    try:
        recipe, sources = read(args.recipe), Sources(args.data, args.leave_out)
        _check_weights(recipe, args.weights)
        if args.start:
            student.load_sizes(args.start)
        sources.check()
        keep_to_sets(args.out, sorted(sources.sets))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    devices = args.devices if args.devices == "auto" else int(args.devices)
    if devices == "auto" and not torch.cuda.is_available():
        devices = 1
    fabric = lightning_fabric.Fabric(devices=devices, precision=recipe.precision)  # type: ignore[arg-type]
    fabric.launch()
    return Run(recipe, sources, args.out, fabric, args.weights, args.start)
