"""The photos of a run: fixation sets, split, and unlabelled photos for distillation."""

from functools import cached_property
from pathlib import Path

import numpy as np

from training.data.examples import Density, human_density, resampled
from training.data.fixations import Photo, read_fixation_set, split
from training.data.photos import drop_near_duplicates, find_photos

WHOLE = np.array([0.0, 0.0, 1.0, 1.0])


class Sources:
    """A data folder: each subfolder with a `fixations.csv` is a fixation set.

    Raises:
        ValueError: there is no fixation set in the folder.
    """

    def __init__(self, data: Path) -> None:
        folders = sorted(table.parent for table in data.glob("*/fixations.csv"))
        if not folders:
            raise ValueError(f"{data} holds no fixation set, no folder with a fixations.csv")
        self.unlabelled_folder = data / "photos"
        self.sets = {folder.name: split(read_fixation_set(folder)) for folder in folders}

    @cached_property
    def training(self) -> list[Photo]:
        return [photo for training, _ in self.sets.values() for photo in training]

    @cached_property
    def validation(self) -> list[Photo]:
        return [photo for _, validation in self.sets.values() for photo in validation]

    @cached_property
    def unlabelled(self) -> list[Path]:
        """The photos without fixations, less those that show a validation photo's scene."""
        if not self.unlabelled_folder.is_dir():
            return []
        found = find_photos([self.unlabelled_folder])
        return drop_near_duplicates(found, [photo.path for photo in self.validation])

    @cached_property
    def training_paths(self) -> list[Path]:
        """All photos that a student learns from, those with fixations first."""
        return [*(photo.path for photo in self.training), *self.unlabelled]

    @cached_property
    def human(self) -> list[Density]:
        """The fixations of the training photos."""
        return human_densities(self.training)


def human_densities(photos: list[Photo]) -> list[Density]:
    densities = []
    for photo in photos:
        height, width = photo.pixels().shape[:2]
        densities.append(human_density(photo, width, height))
    return densities


def mixed(human: Density, teacher: Density, share: float) -> Density:
    """A target of human fixations and a teacher's density, on the finer grid of the two."""
    fine = human.shape[0]
    return share * human + (1 - share) * resampled(teacher, WHOLE, fine)
