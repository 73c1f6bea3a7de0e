"""Lines of text: PP-OCR's detector finds them, CRAFT confirms that they hold characters.

The first is thirty times cheaper and misses little, but takes a bear's face for a sign now and
then; the second looks only at what the first has found.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.detectors import craft
from training.detectors.network import Network, compiled
from training.detectors.weights import packaged_file

LARGEST = 640  # pixels of the longer side when lines are looked for
ENLARGED = 1.5  # small photos, at most
SURE = 0.3  # of a pixel in a line
LOWEST = 5  # pixels of a line's height that can be read
STEP = 64  # CRAFT sees crops of multiples of it, so that few shapes are compiled
ROOM = 24  # pixels around a line that CRAFT sees as well
AREA = 320 * 320  # pixels that CRAFT sees at once
GROWTH = 1.6  # DB's lines are shrunken by this share of area over perimeter (Liao et al., 2020)

MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32) * 255


@dataclass(frozen=True)
class Line:
    outline: NDArray[np.int32]  # [n, 2]: x, y in pixels of the photo
    score: float  # how sure CRAFT is of a character in it, 0–1


@dataclass(frozen=True)
class TextDetector:
    lines: Network
    characters: Network

    def find(self, pixels: NDArray[np.uint8]) -> list[Line]:
        """The lines of text in an RGB photo [height, width, 3]."""
        height, width = pixels.shape[:2]
        scale = min(LARGEST / max(height, width), ENLARGED)
        size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        photo = np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
        found = (self._line_map(photo) > SURE).astype(np.uint8)
        outlines = [grown(outline) for outline in components(found)]
        outlines = [outline for outline in outlines if min(cv2.boundingRect(outline)[2:]) >= LOWEST]
        if not outlines:
            return []
        seen = self._character_map(photo, outlines)
        back = np.array([width, height]) / size
        return [
            Line(np.round(outline * back).astype(np.int32), _highest(seen, outline))
            for outline in outlines
        ]

    def _line_map(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = (photo[..., ::-1] / np.float32(127.5) - 1).transpose(2, 0, 1)[None]
        (found,) = self.lines(np.ascontiguousarray(planes)).values()
        return np.asarray(found[0, 0])

    def _character_map(
        self, photo: NDArray[np.uint8], outlines: list[NDArray[np.int32]]
    ) -> NDArray[np.float32]:
        """CRAFT's scores [height, width] around the outlines; zero elsewhere."""
        left, top, width, height = cv2.boundingRect(np.concatenate(outlines))
        start = np.maximum((left - ROOM, top - ROOM), 0)
        end = np.minimum((left + width + ROOM, top + height + ROOM), photo.shape[1::-1])
        crop = photo[start[1] : end[1], start[0] : end[0]]
        shrink = min(1, (AREA / (crop.shape[0] * crop.shape[1])) ** 0.5)
        small = cv2.resize(crop, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        canvas = np.zeros((*(-(-np.array(small.shape[:2]) // STEP) * STEP), 3), np.float32)
        canvas[: small.shape[0], : small.shape[1]] = (small - MEAN) / DEVIATION
        (scores,) = self.characters(np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])).values()
        inside = scores[0, 0, : -(-small.shape[0] // 2), : -(-small.shape[1] // 2)]
        seen = np.zeros(photo.shape[:2], np.float32)
        seen[start[1] : end[1], start[0] : end[0]] = cv2.resize(inside, crop.shape[1::-1])
        return seen


def load() -> TextDetector:
    """Both networks as published, from the packages that hold their weights.

    Raises:
        FileNotFoundError: a package is missing.
    """
    lines = packaged_file("rapidocr-onnxruntime", "ch_PP-OCRv4_det_infer.onnx")
    return TextDetector(compiled(lines), compiled(craft.load(), (1, 3, -1, -1)))


def _highest(scores: NDArray[np.float32], outline: NDArray[np.int32]) -> float:
    """The highest score [height, width] within an outline, 0–1."""
    inside = np.zeros(scores.shape, np.uint8)
    cv2.fillPoly(inside, [outline], [1])
    return float(np.clip((scores * inside).max(), 0, 1))


def components(mask: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """The outlines [n, 2] of connected regions."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [np.asarray(outline[:, 0], np.int32) for outline in outlines if len(outline) > 2]


def grown(outline: NDArray[np.int32]) -> NDArray[np.int32]:
    """The outline of a whole line, from the shrunken one that DB draws."""
    reach = round(cv2.contourArea(outline) * GROWTH / max(cv2.arcLength(outline, True), 1))
    corner = outline.min(0) - reach - 1
    mask = np.zeros(outline.max(0)[::-1] - corner[::-1] + reach + 2, np.uint8)
    cv2.fillPoly(mask, [outline - corner], [1])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    largest = max(components(np.asarray(cv2.dilate(mask, disc), np.uint8)), key=len)
    return largest + corner.astype(np.int32)
