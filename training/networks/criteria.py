"""Which feature maps to remove next: those that cost the least loss for what they save.

A criterion weighs the loss Δ that a removal adds (`training.networks.fisher`) against the change
in cost, ΔC < 0, in the maps' own layers and in all that read them:

    fisher and cost         least Δ + β · ΔC: each saved operation is worth β (Theis et al., 2018)
    fisher per operation    least Δ / −ΔC: the recipe's, as good and without a β to choose
    fisher                  least Δ
    l1                      the smallest weights (Li et al., 2017)
    random                  any
"""

from typing import Literal, TypeAlias, get_args

import numpy as np

from training.networks.cost import GMAC, GROUP, groups, saving, width
from training.networks.fisher import Importance
from training.networks.removal import Removal, maker
from training.networks.student import Student, StudentSizes

Criterion: TypeAlias = Literal["fisher and cost", "fisher per operation", "fisher", "l1", "random"]
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
    sizes: StudentSizes, importance: Importance, criterion: Criterion, beta: float
) -> Removal:
    """The next `GROUP` maps to remove: the cheapest loss for the saving.

    Args:
        sizes: of the network now.
        importance: of each map; for the Fisher criteria Δ in nats.
        criterion: how to weigh loss against cost.
        beta: nats that a saved GMAC is worth ("fisher and cost" alone).
    """
    best, removal = np.inf, None
    for group in groups(sizes):
        if width(sizes, group) <= GROUP:
            continue
        maps = np.argsort(importance[group], kind="stable")[:GROUP]
        loss = float(importance[group][maps].sum())
        gmac = saving(sizes, group) / GMAC
        match criterion:
            case "fisher and cost":
                value = loss - beta * gmac
            case "fisher per operation":
                value = loss / gmac
            case _:
                value = loss
        if value < best:
            best, removal = value, Removal(group, tuple(int(index) for index in np.sort(maps)))
    if removal is None:
        raise ValueError("every group is down to its last maps")
    return removal
