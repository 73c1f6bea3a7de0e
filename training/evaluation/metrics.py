"""How well a predicted density agrees with where people looked.

Three kinds of questions, because no one number answers them all (Bylinskii et al., 2019,
arXiv 1604.03605):

    nss, auc_judd, shuffled_auc    are fixated pixels higher than others?
    cc, sim, kld                   does the map look like the humans' map (`fixation_map`)?
    information_gain               how many bits per fixation beyond the centre bias?

All take maps [height, width], a value for each pixel of the photo (`on_photo`), and
fixations [n, 2], x and y in pixels of the photo, at least one of them. A fixation counts
for the pixel that it lies in. The tests hold each metric against `pysaliency`.
"""

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]

BLUR = 0.03  # σ of a fixation's blur by the photo's width: 24 px of OSIE's 800, about 1° there
UNIFORM = 0.01  # part of a kernel density that is spread evenly, so no fixation is impossible
CENTRE_GRID = 128  # side of the centre bias, cells
EPSILON = 2.2204e-16  # added in logarithms, as in the MIT/Tübingen benchmark


def on_photo(density: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A density [h, w] interpolated to a photo's pixels, [height, width]; not normalised."""
    return np.asarray(
        cv2.resize(density, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def fixated_pixels(
    fixations: Floats, width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pixels that fixations lie in; those outside go to the edge."""
    column, row = np.clip(fixations.astype(np.int64), 0, (width - 1, height - 1)).T
    return row, column


def fixation_counts(fixations: Floats, width: int, height: int) -> NDArray[np.float32]:
    """The number of fixations in each pixel, [height, width]."""
    row, column = fixated_pixels(fixations, width, height)
    counts = np.bincount(row * width + column, minlength=width * height)
    return counts.reshape(height, width).astype(np.float32)


def fixation_map(fixations: Floats, width: int, height: int) -> NDArray[np.float32]:
    """The humans' map [height, width]: fixations blurred with a Gaussian of about 1°; sums to 1.

    Edges reflect, so no fixation loses weight there.
    """
    return _blurred(fixation_counts(fixations, width, height), BLUR * width)


def centre_bias(relative: Floats) -> NDArray[np.float32]:
    """Where people look whatever the photo: a kernel density [CENTRE_GRID, CENTRE_GRID].

    Args:
        relative: fixations of many photos [n, 2], x and y by their photo's width and height.
    """
    counts = fixation_counts(relative * CENTRE_GRID, CENTRE_GRID, CENTRE_GRID)
    return with_uniform(_blurred(counts, BLUR * CENTRE_GRID))


def with_uniform(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """A density of which a small part is spread evenly."""
    return np.asarray((1 - UNIFORM) * density + UNIFORM / density.size, np.float32)


def _blurred(counts: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(counts, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred / blurred.sum(), np.float32)


def nss(saliency_map: NDArray[np.float32], fixations: Floats) -> float:
    """Normalised scanpath saliency: the map's mean z-score at the fixations (Peters et al., 2005).

    A constant map has no z-scores; it says nothing, so it gets 0.
    """
    if _is_constant(saliency_map):
        return 0.0
    mean, spread = saliency_map.mean(dtype=float), saliency_map.std(dtype=float)
    return float((_at(saliency_map, fixations).mean(dtype=float) - mean) / spread)


def auc_judd(saliency_map: NDArray[np.float32], fixations: Floats) -> float:
    """Area under the ROC curve of fixated against all other pixels (Judd et al., 2009).

    The thresholds are the map's values at the fixations, with straight lines in between,
    which flatters few fixations: by up to 1/(2n). Equal values pass a threshold together, so
    ties get the straight line too and a constant map ½; no jitter is needed.
    """
    if _is_constant(saliency_map):
        return 0.5
    height, width = saliency_map.shape
    positives = np.sort(_at(saliency_map, fixations))
    fixated = saliency_map[fixation_counts(fixations, width, height) > 0]
    thresholds = np.unique(positives)[::-1]
    others = _not_below(np.sort(saliency_map, axis=None), thresholds) - _not_below(
        np.sort(fixated), thresholds
    )
    hits = _not_below(positives, thresholds) / len(positives)
    false_alarms = others / max(1, saliency_map.size - fixated.size)
    return float(np.trapz([0, *hits, 1], [0, *false_alarms, 1]))


def shuffled_auc(
    saliency_map: NDArray[np.float32],
    fixations: Floats,
    negatives: Floats,
) -> float:
    """Area under the ROC curve against where people look in other photos (Tatler et al., 2005).

    The centre bias alone gets ½. This is the chance that the map is higher at a fixation than
    at one of the negatives; ties count half.

    Args:
        negatives: fixations of other photos [n, 2], scaled to this photo's size.
    """
    if _is_constant(saliency_map):
        return 0.5
    positives = _at(saliency_map, fixations)
    values = np.sort(_at(saliency_map, negatives))
    below = np.searchsorted(values, positives, "left")
    not_above = np.searchsorted(values, positives, "right")
    return float((below + not_above).mean() / (2 * len(values)))


def cc(saliency_map: NDArray[np.float32], human: NDArray[np.float32]) -> float:
    """Pearson's correlation with the humans' map (Jost et al., 2005); 0 if either is constant."""
    if _is_constant(saliency_map) or _is_constant(human):
        return 0.0
    a, b = saliency_map.astype(float), human.astype(float)
    a -= a.mean()
    b -= b.mean()
    return float(np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b)))


def sim(saliency_map: NDArray[np.float32], human: NDArray[np.float32]) -> float:
    """The mass that two densities share: Σ min(p, q) (Judd et al., 2012)."""
    return float(np.minimum(_as_density(saliency_map), _as_density(human)).sum())


def kld(saliency_map: NDArray[np.float32], human: NDArray[np.float32]) -> float:
    """Kullback–Leibler divergence of the humans' map q from the map p, in nats.

    Σ q · log(ε + q / (p + ε)), as in Bylinskii et al., 2019.
    """
    p, q = _as_density(saliency_map), _as_density(human)
    return float((q * np.log(EPSILON + q / (p + EPSILON))).sum())


def information_gain(
    saliency_map: NDArray[np.float32],
    baseline: NDArray[np.float32],
    fixations: Floats,
) -> float:
    """Bits per fixation that a density explains beyond a baseline (Kümmerer et al., 2015).

    Mean of log₂ p − log₂ b at the fixations. An ε in the logarithms keeps a density that is
    zero at one fixation from getting −∞.
    """
    p = _at(_as_density(saliency_map), fixations)
    b = _at(_as_density(baseline), fixations)
    return float((np.log2(p + EPSILON) - np.log2(b + EPSILON)).mean())


def _at(saliency_map: Floats, fixations: Floats) -> Floats:
    height, width = saliency_map.shape
    return saliency_map[fixated_pixels(fixations, width, height)]


def _as_density(saliency_map: NDArray[np.float32]) -> NDArray[np.float64]:
    """The map over its sum; an empty map says nothing, so it becomes uniform."""
    total = saliency_map.sum(dtype=float)
    if total == 0:
        return np.full(saliency_map.shape, 1 / saliency_map.size)
    return saliency_map / total


def _is_constant(saliency_map: NDArray[np.float32]) -> bool:
    """Whether values differ by no more than what interpolating a constant rounds to."""
    lowest, highest = float(saliency_map.min()), float(saliency_map.max())
    return highest - lowest <= 1e-6 * max(abs(lowest), abs(highest))


def _not_below(ascending: Floats, thresholds: Floats) -> NDArray[np.intp]:
    """How many of the values reach each threshold."""
    return len(ascending) - np.searchsorted(ascending, thresholds, "left")
