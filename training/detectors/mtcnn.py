"""MTCNN, three small networks that find faces one after another (Zhang et al., 2016).

The first looks everywhere, at many sizes, the other two at what the one before has found. The
layers bear the names of facenet-pytorch's weights; the steps follow its `detect_face`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from training.detectors.network import Network, compiled
from training.detectors.weights import packaged_file

Boxes = NDArray[np.float32]  # [n, 4]: left, top, right, bottom in pixels

WINDOW = 12  # pixels of the first network's view
PYRAMID = 0.709  # from one size to the next: half the area


class Proposals(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [n, h, w] and shifts [n, 4, h, w] of a window at every second pixel."""
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


class Refinement(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [n] and shifts [n, 4] of patches [n, 3, 24, 24]."""
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x)).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu4(self.dense4(x))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class Output(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)  # eyes, nose and mouth, which nobody asks for here

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [n] and shifts [n, 4] of patches [n, 3, 48, 48]."""
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x)).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu5(self.dense5(x))
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x)


@dataclass(frozen=True)
class Mtcnn:
    proposals: Network
    refinement: Network
    output: Network
    smallest: float = 20  # pixels of the smallest face that is looked for

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        """The inner faces in an RGB photo [height, width, 3], and how sure each is, 0–1."""
        boxes, scores = self._proposed(pixels)
        for network, side, threshold in ((self.refinement, 24, 0.7), (self.output, 48, 0.7)):
            if not len(boxes):
                break
            boxes = _squares(boxes)
            patches = np.stack([_patch(pixels, box, side) for box in boxes])
            found, shifts = network(_normalised(patches)).values()
            sure = found > threshold
            boxes, scores = _shifted(boxes[sure], shifts[sure]), found[sure]
            boxes, scores = strongest(boxes, scores, 0.7 if side == 24 else 0.5)
        return boxes, scores

    def _proposed(self, pixels: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        height, width = pixels.shape[:2]
        boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        scale = WINDOW / self.smallest
        while min(height, width) * scale >= WINDOW:
            size = int(width * scale + 1), int(height * scale + 1)
            small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
            found, shifts = self.proposals(_normalised(small[None])).values()
            row, column = np.nonzero(found[0] >= 0.6)
            corner = 2 * np.stack([column, row], 1) + 1
            windows = np.concatenate([corner, corner + WINDOW - 1], 1) / scale
            moves = shifts[0, :, row, column]
            here = found[0, row, column]
            kept = _kept(windows, here, 0.5)
            boxes.append(_shifted(windows[kept], moves[kept]))
            scores.append(here[kept])
            scale *= PYRAMID
        return strongest(np.concatenate(boxes), np.concatenate(scores), 0.7)


def load() -> Mtcnn:
    """MTCNN as published, from the package that holds its weights.

    Raises:
        FileNotFoundError: the package is missing.
    """
    return Mtcnn(
        compiled(with_weights(Proposals(), "pnet.pt"), (1, 3, -1, -1)),
        compiled(with_weights(Refinement(), "rnet.pt"), (-1, 3, 24, 24)),
        compiled(with_weights(Output(), "onet.pt"), (-1, 3, 48, 48)),
    )


def with_weights(network: nn.Module, name: str) -> nn.Module:
    path = packaged_file("facenet-pytorch", name)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network


def strongest(
    boxes: Boxes, scores: NDArray[np.float32], overlap: float
) -> tuple[Boxes, NDArray[np.float32]]:
    """Of boxes that overlap by more than this (intersection over union), the surest."""
    kept = _kept(boxes, scores, overlap)
    return boxes[kept], scores[kept]


def _kept(boxes: Boxes, scores: NDArray[np.float32], overlap: float) -> NDArray[np.intp]:
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    return np.array(cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), 0, overlap), np.intp)


def _normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (pixels.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128


def _shifted(boxes: Boxes, shifts: NDArray[np.float32]) -> Boxes:
    """Boxes whose edges moved by these shares of their width and height."""
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.asarray(boxes + shifts * size, np.float32)


def _squares(boxes: Boxes) -> Boxes:
    """The squares around the boxes' centres that hold them."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], 1)


def _patch(pixels: NDArray[np.uint8], box: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """What lies in the box, [side, side, 3]; what of it is outside the photo is left out."""
    height, width = pixels.shape[:2]
    left, top = np.clip(box[:2].astype(int) - 1, 0, (width - 1, height - 1))
    right, bottom = np.clip(box[2:].astype(int), (left + 1, top + 1), (width, height))
    inside = pixels[top:bottom, left:right]
    return np.asarray(cv2.resize(inside, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
