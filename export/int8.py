"""Quantise the exported student to 8-bit integers, and prove what that costs.

    python -m export.int8 [--model FILE] [--out FILE] [--data FOLDER]

Static, symmetric, per channel, as quantise/dequantise pairs around every convolution: the one
form that onnxruntime, OpenVINO and TensorRT (from version 11 on the only one) all read. The
ranges of activations are those of scikit-image's sample photos and of parts of them, or of
--data's photos, some drawn from the folder. Rounding to
integers also clips, so what the network clips at 6 is only clipped at 0 here.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import skimage.data
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.parity import MODEL, canvas_of, proven
from training.data.fixations import read_pixels
from training.data.framing import frame
from training.data.photos import find_photos
from training.files import whole

INT8 = MODEL.with_name("model.int8.onnx")
PHOTOS = (
    "astronaut",
    "camera",
    "cat",
    "coffee",
    "colorwheel",
    "immunohistochemistry",
    "page",
    "retina",
    "rocket",
    "text",
)
PARTS = 6  # of each photo
LARGEST = 127
DRAWN = 60  # photos of a folder
TOLERANCE = 0.08  # of the density may lie elsewhere than in fp32: half the sum of differences
INTEGRITY_TOLERANCE = 0.05  # the mean over a photo's cells of what its integrity may differ

Inputs = dict[str, NDArray[np.generic]]


def quantise(model: Path, out: Path, data: Path | None = None) -> float:
    """Write the quantised graph to `out`; the largest share of a photo's density that moved.

    Nothing is written unless that share is within `TOLERANCE` on every sample photo, and the
    integrity within its own.

    Args:
        data: a folder of photos to calibrate on, instead of the sample photos.

    Raises:
        ExportError: it is not.
        FileNotFoundError: the folder is missing, or holds no photo.
    """
    graph = quantised(model, data)
    moved = proven(model, graph, "8 bits", TOLERANCE, INTEGRITY_TOLERANCE)
    with whole(out) as file:
        file.write_bytes(graph)
    return moved


def quantised(model: Path, data: Path | None = None) -> bytes:
    """The quantised graph, unproven; `data` and errors as of `quantise`."""
    canvas = canvas_of(onnx.load(model))
    with tempfile.TemporaryDirectory() as folder:
        prepared, rounded = Path(folder) / "prepared.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            rounded,
            Calibration(canvas, photos_of(data) if data else sample_photos()),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,  # TensorRT wants none
                # Each sum is rounded once, where the next convolution reads it.
                "OpTypesToExcludeOutputQuantization": ["Conv"],
            },
        )
        return clipped_by_rounding(onnx.load(rounded)).SerializeToString()


def clipped_by_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without upper bounds that the integers' range implies.

    Where a Clip's bound rounds to the largest integer, Relu gives the same integers. It saves an
    eighth of the network's time in OpenVINO.
    """
    constants = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Clip":
            continue
        low, high = (float(constants[name]) for name in node.input[1:])
        readers = [reader for reader in model.graph.node if node.output[0] in reader.input]
        rounded = all(
            reader.op_type == "QuantizeLinear"
            and round(high / float(constants[reader.input[1]])) >= LARGEST
            for reader in readers
        )
        if low == 0 and rounded:
            node.op_type = "Relu"
            del node.input[1:]
    used = {name for node in model.graph.node for name in node.input}
    kept = [value for value in model.graph.initializer if value.name in used]
    model.graph.ClearField("initializer")
    model.graph.initializer.extend(kept)
    return model


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Photos of many kinds, one at a time, framed as serving frames them."""

    def __init__(self, canvas: int, photos: Iterable[NDArray[np.uint8]]) -> None:
        self.examples = _framed(canvas, photos)

    def get_next(self) -> Inputs | None:
        return next(self.examples, None)


def _framed(canvas: int, photos: Iterable[NDArray[np.uint8]]) -> Iterator[Inputs]:
    for photo in photos:
        pixels, extent = frame(photo, canvas)
        yield {"PIXELS": pixels[None], "EXTENT": extent[None]}


def sample_photos() -> Iterator[NDArray[np.uint8]]:
    """scikit-image's photos of many kinds, and parts of them."""
    random = np.random.default_rng(0)
    for name in PHOTOS:
        photo = np.asarray(getattr(skimage.data, name)())
        if photo.ndim == 2:
            photo = np.repeat(photo[..., None], 3, axis=2)
        for part in range(PARTS):
            yield photo if part == 0 else _part(photo, random)


def photos_of(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Some photos of a folder and those inside, always the same."""
    paths = find_photos([folder])
    if not paths:
        raise FileNotFoundError(f"{folder} holds no photo to calibrate on")
    drawn = np.random.default_rng(0).permutation(len(paths))[:DRAWN]
    return (read_pixels(paths[index]) for index in sorted(drawn))


def _part(photo: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A random window, lighter or darker, sometimes mirrored."""
    height, width = (round(side * random.uniform(0.4, 1)) for side in photo.shape[:2])
    top = random.integers(photo.shape[0] - height, endpoint=True)
    left = random.integers(photo.shape[1] - width, endpoint=True)
    window = photo[top : top + height, left : left + width, :3] * random.uniform(0.6, 1.3)
    return window.clip(0, 255).astype(np.uint8)[:, :: random.choice([1, -1])]


def main() -> None:
    parser = argparse.ArgumentParser(description="quantise the exported student, checked")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, default=INT8)
    parser.add_argument("--data", type=Path, help="a folder of photos to calibrate on")
    args = parser.parse_args()
    moved = quantise(args.model, args.out, args.data)
    print(f"wrote {args.out}; at most {moved:.1%} of a photo's density moved")


if __name__ == "__main__":
    main()
