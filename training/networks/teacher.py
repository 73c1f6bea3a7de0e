"""The teacher: a large network in the manner of DeepGaze II, trained end to end.

An ImageNet network is tapped at several depths and run at several scales of the picture; a
readout network and a finalizer like the student's turn the taps into a density (Kümmerer et
al., 2016; Theis et al., 2018). Several of them, from different seeds, make an ensemble.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks import checkpoint
from training.networks.student import (
    BlockSizes,
    Features,
    Finalizer,
    Readout,
    StudentSizes,
    normalised,
)

# Blocks 14–17 of MobileNetV2 1.0, after the student's 13 (Sandler et al., 2018, table 2).
LAST_BLOCKS = (
    BlockSizes(hidden=576, out=160, stride=2, residual=False),
    BlockSizes(hidden=960, out=160, stride=1, residual=True),
    BlockSizes(hidden=960, out=160, stride=1, residual=True),
    BlockSizes(hidden=960, out=320, stride=1, residual=False),
)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TeacherSizes:
    """Every number that is needed to build a teacher."""

    backbone: str = "mobilenet_v2"  # or the name of a network in timm
    canvas: int = 352  # side of the square input, pixels
    grid: int = 32  # side of the output grid, cells
    scales: tuple[float, ...] = (1.0, 0.5)
    taps: tuple[int, ...] = (6, 10, 13, 17)  # for timm: indices of its stages
    lateral: int = 128
    readout: int = 64
    prior: int = 8


class TimmFeatures(nn.Module):
    """Stages of a network from timm, which downloads its ImageNet weights."""

    def __init__(self, name: str, stages: tuple[int, ...], pretrained: bool) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ValueError(f"the backbone {name} needs timm: pip install timm") from error
        self.network = timm.create_model(
            name, features_only=True, out_indices=stages, pretrained=pretrained
        )
        self.widths: list[int] = self.network.feature_info.channels()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Taps of pictures [N, 3, H, W] with values in −1…1, finest first."""
        mean, std = (
            torch.tensor(values, device=pictures.device).view(1, 3, 1, 1)
            for values in (IMAGENET_MEAN, IMAGENET_STD)
        )
        taps: list[Tensor] = self.network(((pictures + 1) / 2 - mean) / std)
        return taps


class Teacher(nn.Module):
    def __init__(self, sizes: TeacherSizes, pretrained: bool = False) -> None:
        super().__init__()
        self.sizes = sizes
        self.features: Features | TimmFeatures
        if sizes.backbone == "mobilenet_v2":
            self.features = Features(32, StudentSizes().blocks + LAST_BLOCKS, sizes.taps)
        else:
            self.features = TimmFeatures(sizes.backbone, sizes.taps, pretrained)
        widths = self.features.widths * len(sizes.scales)
        self.readout = Readout(widths, sizes.lateral, sizes.readout)
        self.finalizer = Finalizer(sizes.grid, sizes.prior)

    def log_density(self, pixels: Tensor, extent: Tensor) -> Tensor:
        """Log density [N, grid, grid] of uint8 pixels [N, canvas, canvas, 3]."""
        pictures = normalised(pixels)
        taps = []
        for scale in self.sizes.scales:
            side = round(pixels.shape[1] * scale)
            scaled = pictures
            if scale != 1:
                scaled = F.interpolate(
                    pictures, (side, side), mode="bilinear", antialias=True, align_corners=False
                )
            taps += self.features(scaled)
        scores = self.readout(taps)
        return self.finalizer(scores, extent, stride=pixels.shape[1] // scores.shape[-2])

    def forward(self, pixels: Tensor, extent: Tensor) -> Tensor:
        """Probability [N, grid, grid] that gaze falls into each cell of the photo."""
        return self.log_density(pixels, extent).exp()


def save(teacher: Teacher, path: Path) -> None:
    """Write a checkpoint that rebuilds itself."""
    checkpoint.write(teacher, path, {"teacher": json.dumps(asdict(teacher.sizes))})


def load(path: Path) -> Teacher:
    """Rebuild a teacher from its checkpoint, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a teacher's checkpoint.
    """
    metadata = checkpoint.read_metadata(path)
    if "teacher" not in metadata:
        raise ValueError(f"{path} is not a teacher's checkpoint: it names no sizes")
    fields = json.loads(metadata["teacher"])
    fields |= {name: tuple(fields[name]) for name in ("scales", "taps")}
    teacher = Teacher(TeacherSizes(**fields))
    teacher.load_state_dict(safetensors.torch.load_file(path))
    return teacher.eval()
