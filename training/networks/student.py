"""The student: a small fully convolutional network that predicts where people look.

    pixels uint8 [N, H, W, 3], extent int32 [N, 2]  →  density float32 [N, grid, grid],
                                                       integrity float32 [N, grid, grid]

The vocabulary follows DeepGaze (Kümmerer et al., 2016): a *feature extractor* (the first
blocks of MobileNetV2, Sandler et al., 2018) is tapped at several depths; a *readout
network* turns the taps into two maps of scores; a *finalizer* smooths the first, adds the
log density of the centre bias and normalises: the softmax over all cells of
Theis et al., 2018 (arXiv 1801.05787), equation 1. The second says how much of each cell belongs
to what a cut spoils, a head or a line of text: its *integrity*, from 0 to 1.

Every input has one shape, so that all requests batch with each other. Photos of other
shapes lie centred on a neutral canvas (see `training.data.framing`); `extent` says how much of
it they cover. The finalizer reads only those cells and resamples them to a grid that
covers exactly the photo.

All sizes are in `StudentSizes`, which travels in the checkpoint: a pruned network is
rebuilt from its file alone.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks import checkpoint


@dataclass(frozen=True)
class BlockSizes:
    """Widths of one inverted residual block, and which of its parts it has."""

    hidden: int
    out: int
    stride: int
    residual: bool
    expand: bool = True  # without, the hidden maps are the input's


def _mobilenet_v2_blocks() -> tuple[BlockSizes, ...]:
    """Blocks 1–13 of MobileNetV2 1.0 (Sandler et al., 2018, table 2)."""
    blocks, width = [BlockSizes(hidden=32, out=16, stride=1, residual=False, expand=False)], 16
    for out, repeats, first_stride in ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1)):
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            blocks.append(BlockSizes(6 * width, out, stride, residual=repeat > 0))
            width = out
    return tuple(blocks)


READOUT = ("lateral", "readout")  # sizes of its maps
RARELY = -2.0  # logit of a cell's integrity at first: few cells belong to heads or text


@dataclass(frozen=True)
class StudentSizes:
    """Every number that is needed to build the network."""

    canvas: int = 320  # side of the square input, pixels
    grid: int = 40  # side of the output grids, cells
    stem: int = 32
    blocks: tuple[BlockSizes, ...] = _mobilenet_v2_blocks()
    taps: tuple[int, ...] = (6, 10, 13)  # after these blocks, counted from 1
    lateral: int = 64  # feature maps that the taps are summed in
    readout: int = 32  # feature maps before the last layer
    prior: int = 8  # side of the learned centre bias, before interpolation to the grid

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> "StudentSizes":
        fields = json.loads(text)
        fields["blocks"] = tuple(BlockSizes(**block) for block in fields["blocks"])
        fields["taps"] = tuple(fields["taps"])
        return StudentSizes(**fields)


class InvertedResidual(nn.Module):
    """expand 1×1 → depthwise 3×3 → project 1×1, with a shortcut where the sizes say so."""

    def __init__(self, width: int, sizes: BlockSizes) -> None:
        super().__init__()
        hidden = sizes.hidden
        self.residual = sizes.residual
        self.expand = nn.Conv2d(width, hidden, 1) if sizes.expand else None
        self.depthwise = nn.Conv2d(hidden, hidden, 3, sizes.stride, padding=1, groups=hidden)
        self.project = nn.Conv2d(hidden, sizes.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Features(nn.Module):
    """The first blocks of a MobileNetV2, tapped after some of them."""

    def __init__(self, stem: int, blocks: tuple[BlockSizes, ...], taps: tuple[int, ...]) -> None:
        super().__init__()
        self.taps = taps
        self.stem = nn.Conv2d(3, stem, 3, stride=2, padding=1)
        widths = [stem, *(block.out for block in blocks)]
        self.widths = [widths[tap] for tap in taps]
        self.block = nn.ModuleDict(
            {
                str(number): InvertedResidual(width, block)
                for number, (width, block) in enumerate(zip(widths[:-1], blocks, strict=True), 1)
            }
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Taps [N, width, h, w], finest first, of pictures [N, 3, H, W] with values in −1…1."""
        x = F.relu6(self.stem(x))
        taps = []
        for number, block in self.block.items():
            x = block(x)
            if int(number) in self.taps:
                taps.append(x)
        return taps

    def load_imagenet(self, path: Path) -> None:
        """Start from MobileNetV2's weights, stored under the same names."""
        weights = safetensors.torch.load_file(path)
        self.load_state_dict({name: weights[name] for name in self.state_dict()})


class Readout(nn.Module):
    """Taps at stride 8 and coarser → two maps of scores at stride 8: of density, of integrity."""

    def __init__(self, taps: list[int], lateral: int, readout: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, lateral, 1) for width in taps)
        self.mix = nn.Conv2d(lateral, readout, 3, padding=1)
        self.score = nn.Conv2d(readout, 2, 1)

    def forward(self, taps: list[Tensor]) -> Tensor:
        height, width = taps[0].shape[-2:]
        summed = self.laterals[0](taps[0])
        for lateral, tap in zip(self.laterals[1:], taps[1:], strict=True):
            # The convolution comes first: it is linear too, and cheaper before upsampling.
            summed = summed + F.interpolate(lateral(tap), (height, width), mode="bilinear")
        return self.score(F.relu(self.mix(F.relu(summed))))


class Finalizer(nn.Module):
    """Scores on the canvas → log density on the photo's own grid, and scores of integrity there."""

    def __init__(self, grid: int, prior: int) -> None:
        super().__init__()
        self.grid = grid
        self.log_sigma = nn.Parameter(torch.zeros(()))  # σ of the smoothing, in canvas cells
        self.log_sigma_integrity = nn.Parameter(torch.tensor(-0.7))  # heads have sharper borders
        self.prior = nn.Parameter(torch.zeros(1, 1, prior, prior))

    def forward(self, scores: Tensor, extent: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Two maps [N, grid, grid] of scores [N, 2, h, w]."""
        prior = F.interpolate(self.prior, (self.grid, self.grid), mode="bilinear")[0]
        on_photo = self._resampled(scores[:, 0], extent, stride, self.log_sigma)
        log_density = F.log_softmax((on_photo + prior).flatten(1), dim=1)
        integrity = self._resampled(scores[:, 1], extent, stride, self.log_sigma_integrity)
        return log_density.unflatten(1, (self.grid, self.grid)), integrity

    def _resampled(self, scores: Tensor, extent: Tensor, stride: int, log_sigma: Tensor) -> Tensor:
        """Smoothed scores [N, grid, grid] of the part of [N, h, w] that the photo covers."""
        sigma, (height, width) = log_sigma.exp(), scores.shape[-2:]
        rows = smoothing(extent[:, 0], height, stride, self.grid, sigma)  # [N, grid, h]
        columns = smoothing(extent[:, 1], width, stride, self.grid, sigma)
        return rows @ scores @ columns.transpose(1, 2)


def smoothing(extent: Tensor, cells: int, stride: int, grid: int, sigma: Tensor) -> Tensor:
    """One axis of a Gaussian as a matrix [N, grid, cells] that also resamples.

    The photo covers `extent` pixels [N], centred; the cells beside it get no weight. With a
    padding of 1 at every stride of 2, cell i looks at the picture around pixel stride·i,
    whose centre is stride·i + ½.
    """
    device = extent.device
    extent = extent.float()[:, None]
    first = (cells * stride - extent) / 2
    centre = (torch.arange(grid, device=device) + 0.5) / grid
    position = (first + centre * extent - 0.5) / stride  # [N, grid]
    cell = torch.arange(cells, device=device)
    distance = (position[:, :, None] - cell) / sigma
    inside = (cell * stride >= first) & (cell * stride < first + extent)  # [N, cells]
    logits = -0.5 * distance**2 + (inside.float() - 1)[:, None] * 1e4
    return torch.softmax(logits, dim=2)


class Student(nn.Module):
    def __init__(self, sizes: StudentSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes = sizes or StudentSizes()
        self.features = Features(sizes.stem, sizes.blocks, sizes.taps)
        self.readout = Readout(self.features.widths, sizes.lateral, sizes.readout)
        self.finalizer = Finalizer(sizes.grid, sizes.prior)

    def scores(self, pictures: Tensor) -> Tensor:
        """Scores [N, 2, h, w] of pictures [N, 3, H, W] with values in −1…1."""
        return self.readout(self.features(pictures))

    def predict(self, pixels: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Log density and logits of integrity, [N, grid, grid] each, of pixels [N, H, W, 3]."""
        scores = self.scores(normalised(pixels))
        maps: tuple[Tensor, Tensor] = self.finalizer(
            scores, extent, stride=pixels.shape[1] // scores.shape[-2]
        )
        return maps

    def log_density(self, pixels: Tensor, extent: Tensor) -> Tensor:
        """Log density [N, grid, grid] of uint8 pixels [N, H, W, 3]."""
        return self.predict(pixels, extent)[0]

    def forward(self, pixels: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Probability that gaze falls into each cell of the photo, and the cells' integrity."""
        log_density, integrity = self.predict(pixels, extent)
        return log_density.exp(), integrity.sigmoid()


def normalised(pixels: Tensor) -> Tensor:
    """uint8 pixels [N, H, W, 3] → [N, 3, H, W] with values in −1…1, as MobileNetV2 was trained.

    Permuted last: engines that compute channels last then leave the pixels where they are, and
    TensorRT reads uint8 only to cast it.
    """
    return (pixels.float() / 127.5 - 1).permute(0, 3, 1, 2)


def save(student: Student, path: Path, **metadata: str) -> None:
    """Write a checkpoint that rebuilds itself; `metadata` (figures, say) goes with it."""
    checkpoint.write(student, path, {"sizes": student.sizes.to_json(), **metadata})


def expect_rarely(student: Student) -> None:
    """Let a new network begin with the integrity that most cells have: little."""
    state = student.readout.score.state_dict()
    state["bias"][1] = RARELY
    student.readout.score.load_state_dict(state)


def continued(path: Path, sizes: StudentSizes) -> Student:
    """An earlier student on another canvas and grid, and with a wider readout, to learn on.

    Maps that the earlier one has not begin at random, and nothing that it has reads them, so its
    density stays. One that knows the density alone gives the new one its first row of scores; the
    second begins as a small random one that finds nothing.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a student's checkpoint.
    """
    earlier = load_sizes(path)
    wider = {name: max(getattr(earlier, name), getattr(sizes, name)) for name in READOUT}
    student = Student(dataclasses.replace(earlier, canvas=sizes.canvas, grid=sizes.grid, **wider))
    expect_rarely(student)
    state = student.state_dict()  # the parameters themselves, without their gradients
    for name, weight in safetensors.torch.load_file(path).items():
        corner = tuple(slice(length) for length in weight.shape)
        if weight.ndim > 1:
            state[name][corner[:1]] = 0
        state[name][corner] = weight
    return student


def load(path: Path) -> Student:
    """Rebuild the network from its checkpoint, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a student's checkpoint.
    """
    student = Student(load_sizes(path))
    student.load_state_dict(safetensors.torch.load_file(path))
    return student.eval()


def load_sizes(path: Path) -> StudentSizes:
    """The sizes of the student in a checkpoint; raises as `load` does."""
    metadata = checkpoint.read_metadata(path)
    if "sizes" not in metadata:
        raise ValueError(f"{path} is not a student's checkpoint: it names no sizes")
    try:
        return StudentSizes.from_json(metadata["sizes"])
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds a student of another version: {error}") from error
