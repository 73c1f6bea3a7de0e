"""Networks trained on ImageNet, as they are: EfficientNet-Lite0, -Lite2 and MobileNetV2, frozen.

All are inverted residual blocks behind one convolution, without anything else (Tan and Le, 2019,
arXiv 1905.11946; Sandler et al., 2018, arXiv 1801.04381, table 2), with TensorFlow's padding, which
adds more at the far edges. Their weights are read from a folder, `NAME_imagenet.safetensors`, with
batch normalisation folded into weight and bias and the names of this module's parameters; others,
of a classifier, may stand beside them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import safetensors
import safetensors.torch
from torch import Tensor, nn
from torch.nn import functional as F

BackboneName: TypeAlias = Literal["efficientnet_lite0", "efficientnet_lite2", "mobilenet_v2"]
STEM = 32  # feature maps of the first convolution


@dataclass(frozen=True)
class Architecture:
    stages: tuple[tuple[int, int, int, int, int], ...]  # kernel, stride, maps, blocks, expansion
    first: int  # number of the first block in the file
    taps: tuple[int, ...]  # one at stride 8, the others at 16 and 32


ARCHITECTURES: dict[str, Architecture] = {
    "efficientnet_lite0": Architecture(
        (
            (3, 1, 16, 1, 1),
            (3, 2, 24, 2, 6),
            (5, 2, 40, 2, 6),
            (3, 2, 80, 3, 6),
            (5, 1, 112, 3, 6),
            (5, 2, 192, 4, 6),
            (3, 1, 320, 1, 6),
        ),
        first=0,
        taps=(4, 7, 10, 14, 15),
    ),
    "efficientnet_lite2": Architecture(
        (
            (3, 1, 16, 1, 1),
            (3, 2, 24, 3, 6),
            (5, 2, 48, 3, 6),
            (3, 2, 88, 4, 6),
            (5, 1, 120, 4, 6),
            (5, 2, 208, 5, 6),
            (3, 1, 352, 1, 6),
        ),
        first=0,
        taps=(6, 10, 14, 19, 20),
    ),
    "mobilenet_v2": Architecture(
        (
            (3, 1, 16, 1, 1),
            (3, 2, 24, 2, 6),
            (3, 2, 32, 3, 6),
            (3, 2, 64, 4, 6),
            (3, 1, 96, 3, 6),
            (3, 2, 160, 3, 6),
            (3, 1, 320, 1, 6),
        ),
        first=1,
        taps=(6, 10, 13, 16, 17),
    ),
}
assert set(ARCHITECTURES) == set(get_args(BackboneName))


class Block(nn.Module):
    """An inverted residual block: expand 1×1 → depthwise → project 1×1, perhaps a shortcut."""

    def __init__(self, width: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = width * expansion
        self.residual = stride == 1 and width == out
        self.expand = nn.Conv2d(width, hidden, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        y: Tensor = self.project(F.relu6(_same(self.depthwise, hidden)))
        return x + y if self.residual else y


class Backbone(nn.Module):
    """The blocks up to the last tap, none of which learns."""

    def __init__(self, name: BackboneName, taps: tuple[int, ...] | None = None) -> None:
        super().__init__()
        architecture = ARCHITECTURES[name]
        self.taps = architecture.taps if taps is None else taps
        self.stem = nn.Conv2d(3, STEM, 3, stride=2)
        self.block = nn.ModuleDict()
        self.widths: list[int] = []  # of the taps
        number, width = architecture.first, STEM
        for kernel, first_stride, out, blocks, expansion in architecture.stages:
            for index in range(blocks):
                if number <= max(self.taps):
                    stride = first_stride if index == 0 else 1
                    self.block[str(number)] = Block(width, out, kernel, stride, expansion)
                if number in self.taps:
                    self.widths.append(out)
                number, width = number + 1, out
        self.requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Taps [N, maps, h, w], finest first, of pictures [N, 3, H, W] with values in −1…1."""
        x = F.relu6(_same(self.stem, pictures))
        taps = []
        for number, block in self.block.items():
            x = block(x)
            if int(number) in self.taps:
                taps.append(x)
        return taps


def _same(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution with TensorFlow's padding: as many outputs as strides, the odd pixel behind."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]

    def both(side: int) -> tuple[int, int]:
        missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        return missing // 2, missing - missing // 2

    padded: Tensor = convolution(F.pad(x, (*both(x.shape[3]), *both(x.shape[2]))))
    return padded


def weights_file(folder: Path, name: BackboneName) -> Path:
    """Where a network's weights are.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = folder / f"{name}_imagenet.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: the weights that {name} starts from")
    return path


def load(name: BackboneName, folder: Path, taps: tuple[int, ...] | None = None) -> Backbone:
    """A network with its weights, in evaluation mode.

    Args:
        taps: numbers of the blocks whose outputs are wanted; by default those of a teacher.

    Raises:
        FileNotFoundError: the folder has no weights of it.
        ValueError: the file holds those of another network.
    """
    path, network = weights_file(folder, name), Backbone(name, taps)
    try:
        weights = safetensors.torch.load_file(path)
        wanted = {key: weights[key].float() for key in network.state_dict()}
        network.load_state_dict(wanted)
    except (safetensors.SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the weights of {name}: {error}") from error
    return network.eval()


def strides(name: BackboneName) -> list[int]:
    """Pixels between the cells of each tap."""
    architecture, found = ARCHITECTURES[name], []
    number, stride = architecture.first, 2
    for _, first_stride, _, blocks, _ in architecture.stages:
        stride *= first_stride
        for _ in range(blocks):
            if number in architecture.taps:
                found.append(stride)
            number += 1
    return found
