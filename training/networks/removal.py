"""Take feature maps out of a student, physically."""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_pruning

from training.networks.student import Student, StudentSizes


@dataclass(frozen=True)
class Removal:
    """Maps to remove from one group."""

    group: str
    maps: tuple[int, ...]


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
    layer = maker(student, removal.group)
    graph.get_pruning_group(
        layer, torch_pruning.prune_conv_out_channels, idxs=list(removal.maps)
    ).prune()
    student.sizes = _sizes(student)
    student.zero_grad(set_to_none=True)


def maker(student: Student, group: str) -> Any:
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
