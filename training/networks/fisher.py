"""The Fisher signal: what removing each feature map would add to the loss.

With a mask m on feature map k that is 1 for every example, the gradient of example n's loss
to it is g_nk = Σ_ij a_nkij ∂L_n/∂a_nkij. Removing the map raises the loss by about

    Δ_k = 1/(2N) Σ_n g_nk²

(the Fisher information stands for the Hessian, and at the end of training the gradient's mean
is near 0: Theis et al., 2018, section 2).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.networks.cost import groups, stream_blocks, width
from training.networks.student import Student

Importance: TypeAlias = dict[str, NDArray[np.float64]]  # of each map in each group


@contextmanager
def masked(student: Student, masks: dict[str, Tensor]) -> Iterator[None]:
    """Multiply feature maps by masks [N, maps], by group, at every place where they act.

    Removing a map changes the network exactly as a mask of 0 does.
    """
    hooks = []
    for group, mask in masks.items():
        factor = mask[:, :, None, None]
        for module, is_output in _mask_points(student, group):
            if is_output:
                hooks.append(module.register_forward_hook(_multiply_output(factor)))
            else:
                hooks.append(module.register_forward_pre_hook(_multiply_input(factor)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _mask_points(student: Student, group: str) -> list[tuple[nn.Module, bool]]:
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
