"""A request's tensors → the windows that the client chooses, as tensors again.

Nothing is chosen here: `gazecrop.Saliency` does it, by the same code as in the client.
"""

import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import gazecrop
import numpy as np
from numpy.typing import NDArray

Tensors: TypeAlias = Mapping[str, NDArray[Any]]

OPTIONS = {  # input → option of a crop
    "FOCUS": "focus",
    "KEEP": "keep",
    "AVOID": "avoid",
    "ZOOM": "zoom",
    "TOLERANCE": "tolerance",
    "MIN_KEPT": "min_kept",
}
PREDICTION = ("SALIENCY", "INTEGRITY", "IMAGE_SIZE", "MODEL")
SCALARS = ("ZOOM", "TOLERANCE", "MIN_KEPT")
MOST = 64  # ratios, or boxes of a kind: each takes time, and boxes take it squared


def answer(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """The outputs for a batch of photos, which the first dimension of every tensor counts.

    Raises:
        gazecrop.InvalidArgument: there is no ratio, or more of something than `MOST`.
        Besides, whatever `gazecrop.Saliency.crop` raises.
    """
    for name in ("RATIOS", "KEEP", "AVOID"):
        if name in tensors and tensors[name].shape[1] > MOST:
            raise gazecrop.InvalidArgument(f"{name} has at most {MOST} entries")
    if not tensors["RATIOS"].size:
        raise gazecrop.InvalidArgument("RATIOS names no ratio")
    photos = [
        _crops({name: array[index] for name, array in tensors.items()})
        for index in range(len(tensors["RATIOS"]))
    ]
    rows = max([1, *(len(crop.cuts or ()) for crops in photos for crop in crops)])
    return {
        "RECTS": np.array([[crop.rect for crop in crops] for crops in photos], np.int32),
        "KEPT": np.array([[crop.kept for crop in crops] for crops in photos], np.float32),
        "CUTS": np.array([[_cuts(crop, rows) for crop in crops] for crops in photos]),
        "ADVICE": np.array([[crop.advice for crop in crops] for crops in photos], np.object_),
        **{name: tensors[name] for name in PREDICTION},
    }


def _crops(photo: Tensors) -> list[gazecrop.Crop]:
    size = tuple(photo["IMAGE_SIZE"].tolist())
    saliency = gazecrop.Saliency(photo["SALIENCY"], size, photo["INTEGRITY"])
    options: Any = {
        option: _decimals(photo[name][0] if name in SCALARS else photo[name])
        for name, option in OPTIONS.items()
        if name in photo
    }
    return [saliency.crop(fraction(ratio), **options) for ratio in photo["RATIOS"]]


def _cuts(crop: gazecrop.Crop, rows: int) -> NDArray[np.float32]:
    """What a window cuts: left, top, width, height, inside, attention; rows of 0 after these."""
    table = np.zeros((rows, 6), np.float32)
    for row, cut in zip(table, crop.cuts or (), strict=False):
        row[:] = *cut.box, cut.inside, cut.attention
    return table


@functools.lru_cache(1024)
def fraction(ratio: np.float32) -> float:
    """The simplest fraction that is this FP32: "16:9" for what 16/9 becomes.

    That is a little more than 16/9, which in some photos makes another window.
    """
    if not (np.isfinite(ratio) and ratio > 0):
        return float(ratio)  # for the client to refuse
    exact, largest = Fraction(float(ratio)), 1
    while np.float32(float(simple := exact.limit_denominator(largest))) != ratio:
        largest *= 2
    return float(simple)


def _decimals(values: NDArray[np.float32]) -> Any:
    """The shortest decimals that are these FP32, in lists: 0.02 for what 0.02 becomes."""
    return np.asarray(values).astype(str).astype(float).tolist()
