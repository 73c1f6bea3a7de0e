"""Portraits side by side: whose head gets the attention, and whose head a window keeps.

As Yee, Tantipongpipat and Mishra (2021, arXiv 2105.08667) did, two portraits make one photo, in
both orders, so that no place is in anybody's favour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import gazecrop
import numpy as np
from numpy.typing import NDArray

from training.data.framing import resize
from training.evaluation.cuts import UNCUT
from training.evaluation.detection import mean_inside
from training.evaluation.retention import RATIOS
from training.evaluation.tables import RESAMPLES, Row, Table, interval
from training.networks.predictors import ExportedStudent, FramedNetwork, Predictor

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]

HEIGHT = 384  # pixels that all portraits of a pair have
METHODS: tuple[Literal["mass", "point"], ...] = ("mass", "point")
ATTENTION = ("attention", "more attention", "highest point")
FATES = ("kept", "cut")


@dataclass(frozen=True)
class Portrait:
    """A photo of one head.

    Attributes:
        pixels: RGB [height, width, 3].
        head: left, top, right, bottom in pixels.
    """

    pixels: Pixels
    head: Floats

    def __post_init__(self) -> None:
        height, width = self.pixels.shape[:2]
        left, top, right, bottom = self.head
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"a head at {self.head.tolist()} is not in {width} × {height} pixels")


class Judgement(NamedTuple):
    """What a network and its windows do to the heads of one photo, [heads] each."""

    attention: Floats  # of the density inside the head's box
    highest: NDArray[np.bool_]  # the portrait has the densest cell
    kept: NDArray[np.bool_]  # [methods, ratios, heads]: the window holds more than 90 % of the box
    cut: NDArray[np.bool_]  # [methods, ratios, heads]: 10 to 90 %


def side_by_side(portraits: Sequence[Portrait]) -> tuple[Pixels, Floats, Floats]:
    """One photo of portraits, their heads [n, 4] in it, and where each one ends, [n]."""
    parts, heads, ends = [], [], [0]
    for portrait in portraits:
        height, width = portrait.pixels.shape[:2]
        scaled = max(1, round(width * HEIGHT / height))
        parts.append(resize(portrait.pixels, scaled, HEIGHT))
        scale = scaled / width, HEIGHT / height
        heads.append(portrait.head * np.tile(scale, 2) + (ends[-1], 0, ends[-1], 0))
        ends.append(ends[-1] + scaled)
    return np.concatenate(parts, axis=1), np.array(heads), np.array(ends[1:], float)


def judge(predict: Predictor, portraits: Sequence[Portrait]) -> Judgement:
    """The portraits in a row, from left to right."""
    pixels, heads, ends = side_by_side(portraits)
    size = pixels.shape[1], pixels.shape[0]
    saliency = predicted(predict, pixels)
    shares = heads / np.tile(size, 2)
    areas = (shares[:, 2:] - shares[:, :2]).prod(axis=1) * saliency.density.size
    attention = [mean_inside(saliency.density, head) for head in shares]
    highest = int(np.searchsorted(ends, saliency.salient_point[0], side="right"))
    inside = np.array(
        [
            [
                inside_shares(heads, saliency.crop(ratio, method=method).rect)
                for ratio in RATIOS.values()
            ]
            for method in METHODS
        ]
    )
    kept = inside > 1 - UNCUT
    return Judgement(
        np.array(attention) * areas,
        np.arange(len(portraits)) == highest,
        kept,
        (inside >= UNCUT) & ~kept,
    )


def predicted(predict: Predictor, pixels: Pixels) -> gazecrop.Saliency:
    """What a client would get: of a student with the integrity of the cells."""
    size = pixels.shape[1], pixels.shape[0]
    if isinstance(predict, FramedNetwork | ExportedStudent):
        density, integrity = predict.maps(pixels)
        return gazecrop.Saliency(density, size, integrity)
    return gazecrop.Saliency(predict(pixels), size)


def inside_shares(boxes: Floats, window: gazecrop.Rect) -> Floats:
    """The share of each box [n, 4] (left, top, right, bottom) inside a window, [n]."""
    corner = np.array(window[:2])
    common = np.minimum(boxes[:, 2:], corner + window[2:]) - np.maximum(boxes[:, :2], corner)
    return (common.clip(0) / (boxes[:, 2:] - boxes[:, :2])).prod(axis=1)


def compared(predict: Predictor, first: Portrait, second: Portrait) -> Floats:
    """What happens to two heads side by side, the mean of both orders, in `columns`' order."""
    orders = [
        (judge(predict, (first, second)), np.array([0, 1])),
        (judge(predict, (second, first)), np.array([1, 0])),
    ]
    return np.mean([_values(judgement, places) for judgement, places in orders], axis=0)


def _values(judgement: Judgement, places: NDArray[np.intp]) -> Floats:
    first, second = judgement.attention[places]
    total = first + second
    share = first / total if total > 0 else 0.5
    fates = np.stack([judgement.kept, judgement.cut])[..., places].astype(float)
    by_method = np.moveaxis(fates, 0, 2)  # [methods, ratios, fates, heads]
    gaps = by_method[..., :1] - by_method[..., 1:]
    windows = np.concatenate([by_method, gaps], axis=-1)
    highest = float(judgement.highest[places][0])
    return np.array([share, (np.sign(first - second) + 1) / 2, highest, *windows.ravel()])


def columns(first: str, second: str) -> list[str]:
    """What `compared` tells of a pair, by the names of the two groups.

    attention: the first head's share of the attention that both heads get; .5 is parity, as of
        the shares of pairs where it gets more, and where the highest point is on its portrait.
    METHOD RATIO kept, cut: the shares of pairs whose window holds more than 90 %, or 10 to 90 %,
        of the box of the first head, of the second one's; and their difference, 0 at parity.
    """
    return [
        *ATTENTION,
        *(
            f"{method} {ratio} {fate}: {whose}"
            for method in METHODS
            for ratio in RATIOS
            for fate in FATES
            for whose in (first, second, "difference")
        ),
    ]


def comparison(
    models: Mapping[str, Predictor],
    pairs: Sequence[tuple[int, int]],
    groups: tuple[Sequence[Portrait], Sequence[Portrait]],
    names: tuple[str, str],
) -> Table:
    """A row for each model: means over pairs, with 95 % intervals.

    Portraits are resampled, in each group by itself, since pairs that share one are alike. Two
    groups that are the same heads in the same order are resampled together.

    Args:
        pairs: the numbers of a portrait of the first group and one of the second.
    """
    chosen = np.array(pairs)
    weights = pair_weights(chosen, (len(groups[0]), len(groups[1])))
    labels = columns(*names)
    rows: dict[str, Row] = {}
    for name, predict in models.items():
        values = np.array([compared(predict, groups[0][i], groups[1][j]) for i, j in pairs])
        means = weights @ values
        rows[name] = {
            label: interval(of_pairs, of_resamples)
            for label, of_pairs, of_resamples in zip(labels, means[0], means[1:].T, strict=True)
        }
    return rows


def pair_weights(pairs: NDArray[np.intp], counts: tuple[int, int]) -> Floats:
    """The weight of each pair, [1 + RESAMPLES, pairs]: first all alike, then as drawn.

    Pairs (i, i) of groups of one size are the same heads twice, so each is drawn as one.
    """
    random = np.random.default_rng(0)
    first = random.multinomial(counts[0], np.full(counts[0], 1 / counts[0]), RESAMPLES)
    if counts[0] == counts[1] and (pairs[:, 0] == pairs[:, 1]).all():
        drawn = first[:, pairs[:, 0]].astype(float)
    else:
        second = random.multinomial(counts[1], np.full(counts[1], 1 / counts[1]), RESAMPLES)
        drawn = (first[:, pairs[:, 0]] * second[:, pairs[:, 1]]).astype(float)
    drawn = drawn[drawn.sum(axis=1) > 0]  # few pairs of many portraits may all be left out
    weights = np.concatenate([np.ones((1, len(pairs))), drawn])
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
