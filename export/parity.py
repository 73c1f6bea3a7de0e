"""What proves two forms of the student equal: real photos and a measure a map. Needs no torch.

That of the density is the share of a photo's density that *moved*: half the sum of absolute
differences, the part of all attention that one form puts into other cells than the other.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import skimage.data
from numpy.typing import NDArray

from training.data.framing import frame

MODEL = Path(__file__).parents[1] / "model_repository" / "student" / "1" / "model.onnx"

Pixels = NDArray[np.uint8]
Extents = NDArray[np.int32]
Densities = NDArray[np.float32]

OUTPUTS = ["DENSITY", "INTEGRITY"]  # of a network that tells the second


class ExportError(Exception):
    """The exported network does not compute what it should."""


def sample_batch(canvas: int) -> tuple[Pixels, Extents]:
    """Real photos of several shapes from scikit-image, framed: pixels and extents."""
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    photos = [astronaut, coffee, skimage.data.chelsea(), skimage.data.rocket()]
    tall, wide = astronaut[:, 100:300], coffee[100:250]
    framed = [frame(photo, canvas) for photo in (*photos, tall, wide)]
    return np.stack([pixels for pixels, _ in framed]), np.stack([extent for _, extent in framed])


def canvas_of(model: onnx.ModelProto) -> int:
    """Side of the square input, pixels."""
    return int(model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)


def densities(model: Path | bytes, pixels: Pixels, extent: Extents) -> Densities:
    """What an ONNX graph predicts, [N, grid, grid], on onnxruntime's CPU provider."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: Densities = session.run(["DENSITY"], {"PIXELS": pixels, "EXTENT": extent})[0]
    return result


def maps(model: Path | bytes, pixels: Pixels, extent: Extents) -> list[Densities]:
    """All maps that an ONNX graph predicts, each [N, grid, grid], in the order of `OUTPUTS`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = {output.name for output in session.get_outputs()}
    wanted = [name for name in OUTPUTS if name in names]
    result: list[Densities] = session.run(wanted, {"PIXELS": pixels, "EXTENT": extent})
    return result


def proven(
    original: Path, rounded: bytes, form: str, tolerance: float, integrity_tolerance: float
) -> float:
    """The largest share of a sample photo's density that moves where numbers are rounded.

    Args:
        form: of the rounded graph, for the error's text.
        tolerance: of that share.
        integrity_tolerance: of the mean over a photo's cells of what its integrity differs.

    Raises:
        ExportError: either is beyond its tolerance.
    """
    batch = sample_batch(canvas_of(onnx.load(original)))
    (density, *others), (coarse, *coarse_others) = maps(original, *batch), maps(rounded, *batch)
    moved = largest_move(density, coarse)
    if not moved <= tolerance:
        raise ExportError(
            f"in {form} {moved:.2%} of a photo's density moves; {tolerance:.2%} is allowed"
        )
    for integrity, coarse_integrity in zip(others, coarse_others, strict=True):
        differs = largest_difference(integrity, coarse_integrity)
        if not differs <= integrity_tolerance:
            raise ExportError(
                f"in {form} a photo's integrity differs by {differs:.4f} a cell; "
                f"{integrity_tolerance} is allowed"
            )
    return moved


def largest_move(one: Densities, other: Densities) -> float:
    """Over the photos of a batch, the largest share of the density that moved."""
    return float(np.abs(one - other).sum(axis=(1, 2)).max() / 2)


def largest_difference(one: Densities, other: Densities) -> float:
    """Over the photos of a batch, the largest mean over cells of what the integrity differs."""
    return float(np.abs(one - other).mean(axis=(1, 2)).max())
