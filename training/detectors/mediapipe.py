"""MediaPipe's face detector of full range, for faces up to five metres away (Google, 2021).

A network of 192 × 192 pixels with one anchor in each of 48 × 48 cells. OpenVINO reads its file.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.detectors.mtcnn import Boxes, strongest
from training.detectors.network import Network, compiled
from training.detectors.weights import packaged_file

SIDE = 192
CELLS = 48
SURE = 0.5
SMALLEST = 12  # pixels of the smallest face that it finds, of 192


@dataclass(frozen=True)
class MediaPipe:
    network: Network

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        """The faces in an RGB photo [height, width, 3], and how sure each is, 0–1."""
        scale = SIDE / max(pixels.shape[:2])
        size = np.maximum(np.round(np.array(pixels.shape[1::-1]) * scale).astype(int), 1)
        canvas = np.zeros((SIDE, SIDE, 3), np.float32)
        small = cv2.resize(pixels, size.tolist(), interpolation=cv2.INTER_AREA)
        canvas[: size[1], : size[0]] = small / np.float32(127.5) - 1
        shapes, logits = self.network(canvas[None]).values()
        scores = expit(logits[0, :, 0])
        sure = scores > SURE
        row, column = np.divmod(np.flatnonzero(sure), CELLS)
        anchors = (np.stack([column, row], 1) + 0.5) * SIDE / CELLS
        centre, extent = anchors + shapes[0, sure, :2], shapes[0, sure, 2:4]
        boxes = np.concatenate([centre - extent / 2, centre + extent / 2], 1) / scale
        return strongest(boxes.astype(np.float32), scores[sure], 0.3)


def load() -> MediaPipe:
    """The detector as published, from the package that holds its weights.

    Raises:
        FileNotFoundError: the package is missing.
    """
    path = packaged_file("mediapipe", "face_detection_full_range_sparse.tflite")
    return MediaPipe(compiled(path))
