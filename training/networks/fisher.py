"""Cost-aware Fisher pruning (Theis et al., 2018, section 2): score, choose, remove.

With a mask m on feature map k that is 1 for every example, the gradient of example n's loss
to it is g_nk = Σ_ij a_nkij ∂L_n/∂a_nkij. Removing the map raises the loss by about

    Δ_k = 1/(2N) Σ_n g_nk²

(the Fisher information stands for the Hessian, and at the end of training the gradient's mean
is near 0). Each step removes the `GROUP` maps with the least Σ Δ + β · ΔC, where ΔC < 0 is the
change in cost, counting the maps' own layers and all that read them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import torch_pruning
from numpy.typing import NDArray
from torch import Tensor, nn

from training.networks.cost import GROUP, groups, saving, stream_blocks, width
from training.networks.student import Student, StudentSizes

Criterion: TypeAlias = Literal["fisher cost", "fisher ratio", "fisher", "l1", "random"]
Importance: TypeAlias = dict[str, NDArray[np.float64]]  # of each map in each group

GMAC = 1e9


@contextmanager
def masked(student: Student, masks: dict[str, Tensor]) -> Iterator[None]:
    """Multiply feature maps by masks [N, maps], by group, at every place where they act.

    Removing a map changes the network exactly as a mask of 0 does.
    """
    hooks = []
    for group, mask in masks.items():
        factor = mask[:, :, None, None]
        for module, is_output in _places(student, group):
            if is_output:
                hooks.append(module.register_forward_hook(_multiply_output(factor)))
            else:
                hooks.append(module.register_forward_pre_hook(_multiply_input(factor)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _places(student: Student, group: str) -> list[tuple[nn.Module, bool]]:
    """The modules whose output (or else input) consists of a group's maps, after activation."""
    kind, _, number = group.partition(" ")
    block: Any = student.features.block
    match kind:
        case "stem":
            return [(block["1"].project, False)]
        case "hidden":
            return [(block[number].project, False)]
        case "stream":
            blocks = stream_blocks(student.sizes, group)
            return [(block[str(index)].project, True) for index in blocks]
        case "lateral":
            return [(student.readout.mix, False)]
        case _:
            return [(student.readout.score, False)]


def _multiply_output(factor: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    return lambda module, inputs, output: output * factor


def _multiply_input(factor: Tensor) -> Callable[[nn.Module, tuple[Tensor]], Tensor]:
    return lambda module, inputs: inputs[0] * factor


def unit_masks(student: Student, examples: int) -> dict[str, Tensor]:
    """Masks of ones that collect per-example gradients."""
    device = student.readout.score.weight.device
    return {
        group: torch.ones(examples, width(student.sizes, group), device=device, requires_grad=True)
        for group in groups(student.sizes)
    }


def fisher_signal(masks: dict[str, Tensor], examples: int) -> Importance:
    """Δ_k = 1/(2N) Σ_n g_nk², after the backward pass of Σ_n L_n.

    The loss must be summed over the examples: a mean would shrink every g by 1/N.
    """
    return {
        group: (mask.grad.double().square().sum(dim=0) / (2 * examples)).cpu().numpy()
        for group, mask in masks.items()
        if mask.grad is not None
    }


def weight_norms(student: Student) -> Importance:
    """The mean absolute weight that makes each map: the L1 criterion (Li et al., 2017)."""
    norms = {}
    for group in groups(student.sizes):
        weight = _maker(student, group).weight.detach()
        norms[group] = weight.double().abs().mean(dim=(1, 2, 3)).cpu().numpy()
    return norms


@dataclass(frozen=True)
class Removal:
    """Maps to remove from one group."""

    group: str
    maps: tuple[int, ...]


def choose(
    sizes: StudentSizes, importance: Importance, criterion: Criterion, beta: float
) -> Removal:
    """The next `GROUP` maps to remove: the cheapest loss for the saving.

    Args:
        sizes: of the network now.
        importance: of each map; for the Fisher criteria Δ in nats.
        criterion: how to weigh loss against cost.
        beta: nats that a saved GMAC is worth ("fisher cost" alone).
    """
    best, removal = np.inf, None
    for group in groups(sizes):
        if width(sizes, group) <= GROUP:
            continue
        maps = np.argsort(importance[group], kind="stable")[:GROUP]
        loss = float(importance[group][maps].sum())
        gmac = saving(sizes, group) / GMAC
        match criterion:
            case "fisher cost":
                value = loss - beta * gmac
            case "fisher ratio":
                value = loss / gmac
            case _:
                value = loss
        if value < best:
            best, removal = value, Removal(group, tuple(int(index) for index in np.sort(maps)))
    if removal is None:
        raise ValueError("every group is down to its last maps")
    return removal


def _maker(student: Student, group: str) -> Any:
    """The convolution whose output maps are the group; the others follow from it."""
    kind, _, number = group.partition(" ")
    block: Any = student.features.block
    match kind:
        case "stem":
            return student.features.stem
        case "hidden":
            return block[number].expand
        case "stream":
            return block[number].project
        case "lateral":
            return student.readout.laterals[0]
        case _:
            return student.readout.mix


def remove(student: Student, removal: Removal) -> None:
    """Take feature maps out of a network, physically, in every layer that makes or reads them."""
    picture = torch.zeros(
        1, 3, student.sizes.canvas, student.sizes.canvas, device=student.readout.score.weight.device
    )
    graph = torch_pruning.DependencyGraph().build_dependency(
        student,
        example_inputs=picture,
        forward_fn=lambda network, inputs: network.scores(inputs),
        ignored_params=list(student.finalizer.parameters()),
        verbose=False,
    )
    layer = _maker(student, removal.group)
    graph.get_pruning_group(
        layer, torch_pruning.prune_conv_out_channels, idxs=list(removal.maps)
    ).prune()
    student.sizes = _sizes(student)
    student.zero_grad(set_to_none=True)


def _sizes(student: Student) -> StudentSizes:
    """Read the widths back from the layers."""
    block: Any = student.features.block
    blocks = tuple(
        replace(
            sizes,
            hidden=block[str(number)].depthwise.out_channels,
            out=block[str(number)].project.out_channels,
        )
        for number, sizes in enumerate(student.sizes.blocks, start=1)
    )
    return replace(
        student.sizes,
        stem=student.features.stem.out_channels,
        blocks=blocks,
        lateral=student.readout.mix.in_channels,
        readout=student.readout.mix.out_channels,
    )
