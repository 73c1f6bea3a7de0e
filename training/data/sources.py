"""The photos of a run: fixation sets, split, and unlabelled photos for distillation."""

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from training.data.examples import WHOLE, Density, human_density, resampled
from training.data.fixations import Photo, check_photo, read_fixation_set, split
from training.data.photos import drop_near_duplicates, find_photos


class Sources:
    """A data folder: each subfolder with a `fixations.csv` is a fixation set.

    Args:
        leave_out: names of sets that nothing is learnt from or chosen by, so that they can test
            how well the rest prepares for photos from elsewhere. The split of the other sets
            stays as it is.

    Raises:
        FileNotFoundError: a photo is missing.
        ValueError: there is no fixation set in the folder, none to validate on, or a set to
            leave out is not there; or a set is broken (see `read_fixation_set`).
    """

    def __init__(self, data: Path, leave_out: Collection[str] = ()) -> None:
        folders = {path.name: path for path in sorted(data.glob("*")) if path.is_dir()}
        self.unlabelled_folder = folders.pop("photos", data / "photos")
        for folder in folders.values():
            if (folder / "images").is_dir() and not (folder / "fixations.csv").exists():
                raise ValueError(f"{folder} has images/ but no fixations.csv")
        named = [name for name in folders if (folders[name] / "fixations.csv").exists()]
        if not named:
            raise ValueError(f"{data} holds no fixation set, no folder with a fixations.csv")
        if unknown := sorted(set(leave_out) - set(named)):
            raise ValueError(f"no set {', '.join(unknown)} to leave out of {', '.join(named)}")
        sets = {name: read_fixation_set(folders[name]) for name in named}
        self.left_out = {name: sets.pop(name) for name in sorted(set(leave_out))}
        self.sets = {name: split(photos) for name, photos in sets.items()}
        if not self.training or not self.validation:
            raise ValueError(f"{data}: {', '.join(sets) or 'no set'} left: too few photos to learn")

    def check(self) -> None:
        """Decode all photos, before hours are spent on some of them.

        Raises:
            ValueError: one cannot be read, or `photos/` is there but holds none.
        """
        unlabelled = []
        if self.unlabelled_folder.is_dir():
            unlabelled = find_photos([self.unlabelled_folder])
            if not unlabelled:
                raise ValueError(f"{self.unlabelled_folder} holds no photo")
        labelled = [photo.path for photo in (*self.training, *self.validation)]
        for path in track([*labelled, *unlabelled], "checking photos"):
            check_photo(path)

    @cached_property
    def training(self) -> list[Photo]:
        return [photo for training, _ in self.sets.values() for photo in training]

    @cached_property
    def validation(self) -> list[Photo]:
        return [photo for _, validation in self.sets.values() for photo in validation]

    @cached_property
    def unlabelled(self) -> list[Path]:
        """The photos without fixations, less those that show a held-out photo's scene."""
        if not self.unlabelled_folder.is_dir():
            return []
        found = find_photos([self.unlabelled_folder])
        left_out = [photo for photos in self.left_out.values() for photo in photos]
        held_out = [photo.path for photo in (*self.validation, *left_out)]
        return drop_near_duplicates(found, held_out)

    @cached_property
    def training_paths(self) -> list[Path]:
        """All photos that a student learns from, those with fixations first."""
        return [*(photo.path for photo in self.training), *self.unlabelled]

    @cached_property
    def human(self) -> list[Density]:
        """The fixations of the training photos."""
        return human_densities(self.training)


def smoothed(density: Density, sigma: float) -> Density:
    """A density blurred by a Gaussian of this share of the photo's sides; sums to 1.

    Where some people looked says where others would: nearby, not in the same pixel.
    """
    if not sigma:
        return density
    blurred = cv2.GaussianBlur(
        density, (0, 0), sigma * density.shape[0], borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(blurred / blurred.sum(), np.float32)


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
