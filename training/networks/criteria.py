"""Which feature maps to remove next: those that cost the least loss for what they save.

A criterion weighs the loss Δ that a removal adds (`training.networks.fisher`) against what it saves
in the maps' own layers and in all that read them (Theis et al., 2018, weigh by operations):

    fisher per millisecond  least Δ for the modelled time saved (`training.networks.cost`)
    fisher per operation    least Δ for the multiplications saved
    fisher                  least Δ
    l1                      the smallest weights (Li et al., 2017)
    random                  any
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np

from training.networks.cost import GROUP, groups, macs, saving, width
from training.networks.fisher import Importance
from training.networks.removal import Removal, maker
from training.networks.student import Student, StudentSizes

Criterion: TypeAlias = Literal[
    "fisher per millisecond", "fisher per operation", "fisher", "l1", "random"
]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


def score(student: Student, signal: Importance, criterion: Criterion, seed: int) -> Importance:
    """What a criterion makes of each map; `signal` is Fisher's, `seed` the random one's."""
    match criterion:
        case "l1":
            return weight_norms(student)
        case "random":
            random = np.random.default_rng(seed)
            return {group: random.random(len(values)) for group, values in signal.items()}
        case _:
            return dict(signal)


def weight_norms(student: Student) -> Importance:
    """The mean absolute weight that makes each map."""
    norms = {}
    for group in groups(student.sizes):
        weight = maker(student, group).weight.detach()
        norms[group] = weight.double().abs().mean(dim=(1, 2, 3)).cpu().numpy()
    return norms


def choose(
    sizes: StudentSizes,
    importance: Importance,
    criterion: Criterion,
    least: Mapping[str, int] = MappingProxyType({}),
) -> Removal:
    """The next `GROUP` maps to remove: the cheapest loss for the saving.

    Args:
        sizes: of the network now.
        importance: of each map; for the Fisher criteria Δ in nats.
        criterion: how to weigh loss against cost.
        least: maps that must stay, by group; `GROUP` where it says nothing.

    Raises:
        ValueError: every group is down to its last maps.
    """
    best, removal = np.inf, None
    for group in groups(sizes):
        if width(sizes, group) - GROUP < least.get(group, GROUP):
            continue
        maps = np.argsort(importance[group], kind="stable")[:GROUP]
        loss = float(importance[group][maps].sum())
        match criterion:
            case "fisher per millisecond":
                value = loss / saving(sizes, group)
            case "fisher per operation":
                value = loss / saving(sizes, group, cost=macs)
            case _:
                value = loss
        if value < best:
            best, removal = value, Removal(group, tuple(int(index) for index in np.sort(maps)))
    if removal is None:
        raise ValueError("every group is down to its last maps")
    return removal
