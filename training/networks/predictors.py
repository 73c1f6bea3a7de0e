"""One interface for every network: an RGB photo in, the density of attention over it out.

`open_predictor` knows a file by its contents:

    .safetensors    a student's or a teacher's checkpoint
    .json           an ensemble (see `training.stages.ensemble`)
    .onnx           a student as exported, in floats or 8-bit integers; or a network of pixels:
                    [N, 3, H, W] → scores or probabilities [N, 1, h, w]
    .tflite         attention-center (Google): needs the package ai-edge-litert
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from training.data.examples import resampled
from training.data.framing import MAX_SQUASH, frame, resize
from training.networks import checkpoint, student, teacher

Pixels: TypeAlias = NDArray[np.uint8]
Density: TypeAlias = NDArray[np.float32]
Predictor: TypeAlias = Callable[[Pixels], Density]

GRID = 40  # cells a side of an ensemble's density


def open_predictor(path: Path) -> Predictor:
    """The network in a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds nothing that predicts attention.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    match path.suffix:
        case ".safetensors":
            return open_network(path)
        case ".json":
            return Ensemble.read(path)
        case ".onnx":
            return open_onnx(path)
        case ".tflite":
            return AttentionCenter(path)
        case _:
            raise ValueError(f"{path} is no .safetensors, .json, .onnx or .tflite file")


def open_network(path: Path) -> Predictor:
    """A student or a teacher, whichever the checkpoint holds."""
    if is_teacher(path):
        return Teachers([teacher.load(path)], [1.0])
    return FramedNetwork(student.load(path))


def is_teacher(path: Path) -> bool:
    return path.suffix == ".safetensors" and "teacher" in checkpoint.read_metadata(path)


class Teachers:
    """Teachers of one backbone, which sees each photo and its mirror image once for all of them.

    Their densities are weighted and added up.
    """

    def __init__(self, teachers: Sequence[teacher.Teacher], weights: Sequence[float]) -> None:
        self.teachers, self.weights = teachers, weights

    def __call__(self, photo: Pixels) -> Density:
        pixels, extent = frame(photo, self.teachers[0].sizes.canvases[0])
        device = self.teachers[0].prior.device
        batch = (torch.from_numpy(part)[None].to(device) for part in (pixels, extent))
        parts = teacher.densities(self.teachers, *batch)
        weights = torch.tensor(self.weights, device=device)
        mixed = torch.tensordot(weights, torch.stack(list(parts)), dims=1)
        return np.asarray(mixed[0].cpu().numpy(), np.float32)


class FramedNetwork:
    """A student, given the photo as serving gives it."""

    def __init__(self, network: student.Student, max_squash: float = MAX_SQUASH) -> None:
        self.network = network.eval()
        self.max_squash = max_squash

    def __call__(self, photo: Pixels) -> Density:
        return self.maps(photo)[0]

    @torch.inference_mode()
    def maps(self, photo: Pixels) -> tuple[Density, Density]:
        """The density, and the integrity of the cells, 0–1."""
        pixels, extent = frame(photo, self.network.sizes.canvas, self.max_squash)
        batch = torch.from_numpy(pixels)[None], torch.from_numpy(extent)[None]
        device = next(self.network.parameters()).device
        density, integrity = (
            np.asarray(part[0].float().cpu().numpy(), np.float32)
            for part in self.network(*(tensor.to(device) for tensor in batch))
        )
        return density, integrity


def open_onnx(path: Path) -> Predictor:
    """A graph of ours or another's, on one thread of onnxruntime.

    Raises:
        ValueError: it does not take pictures.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if {value.name for value in inputs} == {"PIXELS", "EXTENT"}:
        return ExportedStudent(session)
    if len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3:
        raise ValueError(f"{path} takes {inputs[0].shape}, not pictures [N, 3, H, W]")
    return OnnxNetwork(session)


class ExportedStudent:
    """A student's graph, given the photo as serving gives it."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        shapes = {value.name: value.shape for value in session.get_inputs()}
        self.canvas: int = shapes["PIXELS"][1]

    def __call__(self, photo: Pixels) -> Density:
        return self._run(photo, ["DENSITY"])[0]

    def maps(self, photo: Pixels) -> tuple[Density, Density]:
        """The density, and the integrity of the cells, 0–1."""
        density, integrity = self._run(photo, ["DENSITY", "INTEGRITY"])
        return density, integrity

    def _run(self, photo: Pixels, outputs: list[str]) -> list[Density]:
        pixels, extent = frame(photo, self.canvas)
        inputs = {"PIXELS": pixels[None], "EXTENT": extent[None]}
        return [result[0] for result in self.session.run(outputs, inputs)]


class OnnxNetwork:
    """Glimpse, FastGaze and their like.

    A graph of fixed size gets the photo squashed to it, as values 0–1, and answers with
    probabilities up to a factor (Glimpse). A graph of any size gets it fitted into `SIDE`
    pixels, as values 0–255, and answers with scores, whose softmax is the density (FastGaze).
    """

    SIDE = 320

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.input = session.get_inputs()[0]

    def __call__(self, photo: Pixels) -> Density:
        fixed = isinstance(self.input.shape[2], int)
        if fixed:
            height, width = self.input.shape[2:]
        else:
            scale = self.SIDE / max(photo.shape[:2])
            height, width = (max(16, round(side * scale)) for side in photo.shape[:2])
        picture = resize(photo, width, height).astype(np.float32) / (255 if fixed else 1)
        values = self.session.run(None, {self.input.name: picture.transpose(2, 0, 1)[None]})[0][
            0, 0
        ]
        if fixed:
            return _as_density(np.maximum(values, 0))
        # The last cells may reach beyond the photo: only what lies on it counts.
        stride = 16
        scores = cv2.resize(values, (values.shape[1] * stride, values.shape[0] * stride))
        return _as_density(np.exp(scores[:height, :width] - values.max()))


class AttentionCenter:
    """Google's attention-center: letterboxed into 640×480, read at its dense inner layer."""

    WIDTH, HEIGHT = 640, 480
    LAYER = 1583  # Sigmoid, [1, 480, 640]

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as error:
            raise ValueError(f"{path} needs ai-edge-litert: pip install ai-edge-litert") from error
        self.interpreter: Any = Interpreter(
            str(path),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            num_threads=2,
        )
        self.interpreter.allocate_tensors()
        shape = [1, self.HEIGHT, self.WIDTH, 3]
        inputs = self.interpreter.get_input_details()
        (self.input,) = (part["index"] for part in inputs if list(part["shape"]) == shape)

    def __call__(self, photo: Pixels) -> Density:
        scale = min(self.WIDTH / photo.shape[1], self.HEIGHT / photo.shape[0])
        height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
        top, left = (self.HEIGHT - height) // 2, (self.WIDTH - width) // 2
        canvas = np.zeros((1, self.HEIGHT, self.WIDTH, 3), np.float32)
        canvas[0, top : top + height, left : left + width] = resize(photo, width, height) / 255
        self.interpreter.set_tensor(self.input, canvas)
        self.interpreter.invoke()
        dense = self.interpreter.get_tensor(self.LAYER).reshape(self.HEIGHT, self.WIDTH)
        return _as_density(dense[top : top + height, left : left + width])


@dataclass(frozen=True)
class Member:
    """One network of an ensemble."""

    file: str  # relative to the ensemble's own file
    weight: float


class Ensemble:
    """A mixture of densities, on one grid."""

    def __init__(self, predictors: Sequence[Predictor], weights: Sequence[float]) -> None:
        self.predictors, self.weights = predictors, weights

    @staticmethod
    def read(path: Path) -> "Ensemble":
        members = [Member(**entry) for entry in json.loads(path.read_text())]
        predictors: list[Predictor] = []
        weights: list[float] = []
        by_backbone: dict[str, tuple[list[teacher.Teacher], list[float]]] = {}
        for member in members:
            file = path.parent / member.file
            if file.is_file() and is_teacher(file):
                network = teacher.load(file)
                teachers, shares = by_backbone.setdefault(network.backbone, ([], []))
                teachers.append(network)
                shares.append(member.weight)
            else:
                predictors.append(open_predictor(file))
                weights.append(member.weight)
        groups = [Teachers(*group) for group in by_backbone.values()]
        return Ensemble([*groups, *predictors], [1.0] * len(groups) + weights)

    def __call__(self, photo: Pixels) -> Density:
        parts = [
            weight * on_grid(predictor(photo))
            for predictor, weight in zip(self.predictors, self.weights, strict=True)
        ]
        return _as_density(np.sum(parts, axis=0))


def on_grid(density: Density) -> Density:
    """A density brought to the ensemble's grid."""
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    return density if density.shape == (GRID, GRID) else resampled(density, whole, GRID)


def _as_density(values: NDArray[Any]) -> Density:
    """Values ≥ 0, normalised; an all-zero map says nothing and becomes an even spread."""
    values = values.astype(np.float64)
    total = values.sum()
    even = np.full_like(values, 1 / values.size)
    return np.asarray(values / total if total > 0 else even, np.float32)
