"""The teacher: a readout of a frozen ImageNet network, in the manner of DeepGaze II.

    pixels uint8 [N, canvas, canvas, 3], extent int32 [N, 2]  →  density float32 [N, grid, grid]

The network sees the photo at two scales: the larger for what is small, the smaller for the whole.
Its taps, averaged to at most a sixteenth of the larger canvas, are summed by one layer, whose
weights start as if every feature had mean 0 and deviation 1; a few more make scores of the sum,
and a finalizer like the student's makes a density of them (Kümmerer et al., 2016; Theis et al.,
2018).

Nothing but the readout learns, so the features of a photo are computed once, for all teachers
(`training.stages.features`). A checkpoint holds the frozen network too: it predicts by itself.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks import checkpoint
from training.networks.backbones import Backbone, BackboneName, strides
from training.networks.student import normalised, smoothing

CELL = 16  # pixels of the larger canvas in a cell of the scores
LEAST_DEVIATION = 1e-3  # of a feature that hardly varies

Statistics: TypeAlias = tuple[Tensor, Tensor]  # mean and deviation of each map of a tap


@dataclass(frozen=True)
class TeacherSizes:
    """Every number that is needed to build a teacher, beside its backbone."""

    canvases: tuple[int, ...] = (576, 288)  # sides of the square inputs, pixels; the largest first
    grid: int = 40  # side of the output grid, cells
    lateral: int = 96  # feature maps that the taps are summed in
    readout: int = 48  # feature maps before the last layer
    dropout: float = 0.2  # share of those summed maps that a step of learning does without
    prior: int = 8  # side of the learned centre bias


class Teacher(nn.Module):
    def __init__(self, backbone: BackboneName, sizes: TeacherSizes | None = None) -> None:
        super().__init__()
        self.backbone, self.sizes = backbone, sizes or TeacherSizes()
        sizes = self.sizes
        self.features = Backbone(backbone)
        widths = self.features.widths * len(sizes.canvases)
        self.laterals = nn.ModuleList(nn.Conv2d(width, sizes.lateral, 1) for width in widths)
        self.dropout = nn.Dropout2d(sizes.dropout)
        self.mix = nn.Conv2d(sizes.lateral, sizes.readout, 3, padding=1)
        self.score = nn.Conv2d(sizes.readout, 1, 1)
        self.log_sigma = nn.Parameter(torch.zeros(()))  # σ of the smoothing, in cells
        self.prior = nn.Parameter(torch.zeros(1, 1, sizes.prior, sizes.prior))

    @torch.no_grad()
    def standardise(self, statistics: Sequence[Statistics]) -> None:
        """Let the first layer start as if each feature had mean 0 and deviation 1."""
        for lateral, (mean, deviation) in zip(self.laterals, statistics, strict=True):
            state = lateral.state_dict()
            weight = state["weight"] / deviation.clamp(min=LEAST_DEVIATION)[None, :, None, None]
            lateral.load_state_dict({"weight": weight, "bias": -(weight[:, :, 0, 0] @ mean)})

    def shapes(self) -> list[tuple[int, int, int]]:
        """Of a photo's features, those of each tap of each canvas: maps, height, width."""
        largest = self.sizes.canvases[0] // CELL
        sides = [
            min(largest, canvas // stride)
            for canvas in self.sizes.canvases
            for stride in strides(self.backbone)
        ]
        widths = self.features.widths * len(self.sizes.canvases)
        return [(width, side, side) for width, side in zip(widths, sides, strict=True)]

    @torch.no_grad()
    def look(self, pixels: Tensor) -> list[Tensor]:
        """The features [N, maps, h, w] of uint8 pixels [N, canvas, canvas, 3]."""
        pictures, largest = normalised(pixels), self.sizes.canvases[0] // CELL
        features = []
        for canvas in self.sizes.canvases:
            scaled = F.interpolate(pictures, (canvas, canvas), mode="area")
            for tap in self.features(scaled):
                finer = tap.shape[-1] > largest
                features.append(F.adaptive_avg_pool2d(tap, largest) if finer else tap)
        return features

    def read(self, features: Sequence[Tensor], extent: Tensor) -> Tensor:
        """Log density [N, grid, grid] of a photo's features."""
        cells = self.sizes.canvases[0] // CELL
        summed: dict[int, Tensor] = {}
        for lateral, tap in zip(self.laterals, features, strict=True):
            side = tap.shape[-1]
            summed[side] = lateral(tap.float()) + summed.get(side, 0)  # features are kept in halves
        fine = torch.stack(
            [
                F.interpolate(part.float(), (cells, cells), mode="bilinear")
                for part in summed.values()
            ]
        ).sum(dim=0)
        scores = self.score(F.relu(self.mix(self.dropout(F.relu(fine))))).float()[:, 0]
        return self._finalised(scores, extent)

    def _finalised(self, scores: Tensor, extent: Tensor) -> Tensor:
        grid, sigma = self.sizes.grid, self.log_sigma.exp()
        rows, columns = (
            smoothing(extent[:, axis], scores.shape[-1], CELL, grid, sigma) for axis in (0, 1)
        )
        on_photo = rows @ scores @ columns.transpose(1, 2)
        prior = F.interpolate(self.prior, (grid, grid), mode="bilinear")[0]
        log_density = F.log_softmax((on_photo + prior).flatten(1), dim=1)
        return log_density.unflatten(1, (grid, grid))

    def forward(self, pixels: Tensor, extent: Tensor) -> Tensor:
        """Probability [N, grid, grid] that gaze falls into each cell of the photo."""
        return self.read(self.look(pixels), extent).exp()


def save(teacher: Teacher, path: Path) -> None:
    """Write a checkpoint that rebuilds itself."""
    sizes = json.dumps(asdict(teacher.sizes))
    checkpoint.write(teacher, path, {"teacher": sizes, "backbone": teacher.backbone})


def load(path: Path) -> Teacher:
    """Rebuild a teacher from its checkpoint, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a teacher's checkpoint.
    """
    metadata = checkpoint.read_metadata(path)
    if not {"teacher", "backbone"} <= set(metadata):
        raise ValueError(f"{path} is not a teacher's checkpoint: it names no sizes")
    fields = json.loads(metadata["teacher"])
    fields["canvases"] = tuple(fields["canvases"])
    teacher = Teacher(metadata["backbone"], TeacherSizes(**fields))  # type: ignore[arg-type]
    teacher.load_state_dict(safetensors.torch.load_file(path))
    return teacher.eval()


@torch.inference_mode()
def densities(teachers: Sequence[Teacher], pixels: Tensor, extent: Tensor) -> list[Tensor]:
    """What teachers of one backbone say of photos, [N, grid, grid] each.

    Their common features are computed once, of the photos and of their mirror images; a density is
    the mean of what a teacher says of both.
    """
    views = [teachers[0].look(pixels), teachers[0].look(pixels.flip(2))]
    return [mirror_mean(teacher, views, extent) for teacher in teachers]


@torch.inference_mode()
def mirror_mean(teacher: Teacher, views: Sequence[Sequence[Tensor]], extent: Tensor) -> Tensor:
    """The density of photos from the features of them and of their mirror images."""
    plain, mirrored = (_normal(teacher.read(view, extent)) for view in views)
    return (plain + mirrored.flip(-1)) / 2


def _normal(log_density: Tensor) -> Tensor:
    """Densities that sum to 1 to float32's precision whatever the network ran in."""
    flat = torch.softmax(log_density.float().flatten(1), dim=1)
    return flat.unflatten(1, log_density.shape[1:])
