"""Heads, from the faces that two detectors find in several views of a photo.

Each detector votes with the mean of its scores over the views in which it could have seen a head;
a head is as sure as at least one detector's being right (noisy or).

A detector's box holds the inner face, 30 × 48 pixels where the head with hair and chin is 70 × 76.
MTCNN's boxes are therefore widened 2 × 1.8 and moved up by 12 %. MediaPipe's are .88 as wide and
1.15 times as high as MTCNN's boxes of the same faces, which lie 4 % higher: medians of 379 faces.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.detectors import mediapipe, mtcnn
from training.detectors.mediapipe import MediaPipe
from training.detectors.mtcnn import Boxes, Mtcnn

Scores = NDArray[np.float32]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the photo

SAME = 0.35  # boxes of one head overlap by this: intersection over union
INSIDE = 0.8  # a view that holds less of a head need not find it
TILE = 0.6  # of the photo's width and height; four of them cover it
LARGEST = 640  # pixels of the longer side that MTCNN sees
ENLARGED = 1.5  # small photos, at most
RELIABLE = 1.25  # faces so many times the smallest are found in any view


@dataclass(frozen=True)
class Widening:
    """From a face to its head, as shares of the face's width and height."""

    width: float
    height: float
    up: float

    def __call__(self, faces: Boxes) -> Boxes:
        size = faces[:, 2:] - faces[:, :2]
        centre = (faces[:, :2] + faces[:, 2:]) / 2 - (0, self.up) * size
        half = size * (self.width, self.height) / 2
        return np.concatenate([centre - half, centre + half], 1)


FROM_MTCNN = Widening(2.0, 1.8, 0.12)
FROM_MEDIAPIPE = Widening(2.0 * 0.88, 1.8 * 1.15, 0.12 * 1.15 + 0.04)


@dataclass(frozen=True)
class Vote:
    """What one detector found in one view."""

    detector: str
    heads: Boxes  # pixels of the photo
    scores: Scores
    view: Box  # what of the photo it saw
    smallest: float  # height of the smallest head that can be found, pixels of the photo

    def score(self, head: NDArray[np.float32]) -> float | None:
        """How sure this vote is of a head; None if it could not have seen it."""
        left, top, right, bottom = head
        inside = (
            min(right, self.view[2]) - max(left, self.view[0]),
            min(bottom, self.view[3]) - max(top, self.view[1]),
        )
        seen = max(inside[0], 0) * max(inside[1], 0) / ((right - left) * (bottom - top))
        same = overlaps(head, self.heads) > SAME
        if same.any():
            return float(self.scores[same].max())
        return None if seen < INSIDE or bottom - top < self.smallest else 0.0


@dataclass(frozen=True)
class Head:
    box: NDArray[np.float32]  # left, top, right, bottom in pixels of the photo
    score: float  # 0–1


def fused(votes: list[Vote]) -> list[Head]:
    """One head for all boxes that mean the same."""
    boxes = np.concatenate([vote.heads for vote in votes])
    scores = np.concatenate([vote.scores for vote in votes])
    heads = []
    while len(boxes):
        first = boxes[scores.argmax()]
        same = overlaps(first, boxes) > SAME
        box = np.average(boxes[same], axis=0, weights=scores[same])
        heads.append(Head(box, _sureness(box, votes)))
        boxes, scores = boxes[~same], scores[~same]
    return heads


def _sureness(head: NDArray[np.float32], votes: list[Vote]) -> float:
    doubt = 1.0
    for detector in {vote.detector for vote in votes}:
        given = [vote.score(head) for vote in votes if vote.detector == detector]
        able = [score for score in given if score is not None]
        doubt *= 1 - (sum(able) / len(able) if able else 0)
    return 1 - doubt


def overlaps(box: NDArray[np.float32], boxes: Boxes) -> NDArray[np.float32]:
    """Intersection over union of a box and others, [n]."""
    size = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(size, 0, None).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared)


def mtcnn_vote(faces: Boxes, scores: Scores, view: Box, smallest: float) -> Vote:
    """Its heads; `smallest` is the side of the smallest face, in pixels of the photo."""
    height = smallest * RELIABLE * FROM_MTCNN.height
    return Vote("mtcnn", FROM_MTCNN(faces), scores, view, height)


def mediapipe_vote(faces: Boxes, scores: Scores, view: Box) -> Vote:
    pixel = max(view[2] - view[0], view[3] - view[1]) / mediapipe.SIDE
    height = mediapipe.SMALLEST * RELIABLE * FROM_MEDIAPIPE.height * pixel
    return Vote("mediapipe", FROM_MEDIAPIPE(faces), scores, view, height)


def tiles(width: int, height: int) -> list[Box]:
    """The whole photo, and four overlapping parts."""
    across, down = math.ceil(TILE * width), math.ceil(TILE * height)
    return [
        (0, 0, width, height),
        *(
            (left, top, left + across, top + down)
            for left in (0, width - across)
            for top in (0, height - down)
        ),
    ]


def mirrored(vote: Vote, width: int) -> Vote:
    """A vote on the mirror image of a photo, as one on the photo."""
    left, top, right, bottom = vote.heads.T
    return replace(vote, heads=np.stack([width - right, top, width - left, bottom], 1))


def _mirror(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pixels[:, ::-1])


@dataclass(frozen=True)
class HeadDetector:
    mtcnn: Mtcnn
    mediapipe: MediaPipe

    def find(self, pixels: NDArray[np.uint8]) -> list[Head]:
        """The heads in an RGB photo [height, width, 3]."""
        height, width = pixels.shape[:2]
        scale = min(LARGEST / max(height, width), ENLARGED)
        votes = [
            self._mtcnn_vote(pixels, scale),
            *(self._mediapipe_vote(pixels, view) for view in tiles(width, height)),
            mirrored(self._mediapipe_vote(_mirror(pixels), (0, 0, width, height)), width),
        ]
        if any(len(vote.heads) for vote in votes):  # else hardly ever anything, at the same cost
            votes.append(mirrored(self._mtcnn_vote(_mirror(pixels), 0.75 * scale), width))
        return fused(votes)

    def _mtcnn_vote(self, pixels: NDArray[np.uint8], scale: float) -> Vote:
        height, width = pixels.shape[:2]
        size = round(width * scale), round(height * scale)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        resized = np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
        faces, scores = self.mtcnn.find(resized)
        return mtcnn_vote(faces / scale, scores, (0, 0, width, height), self.mtcnn.smallest / scale)

    def _mediapipe_vote(self, pixels: NDArray[np.uint8], view: Box) -> Vote:
        left, top, right, bottom = (round(edge) for edge in view)
        faces, scores = self.mediapipe.find(np.ascontiguousarray(pixels[top:bottom, left:right]))
        return mediapipe_vote(faces + np.tile((left, top), 2), scores, view)


def load() -> HeadDetector:
    """Both detectors as published, from the packages that hold their weights.

    Raises:
        FileNotFoundError: a package is missing.
    """
    return HeadDetector(mtcnn.load(), mediapipe.load())
