"""What the work itself takes, without a server: the bound that serving cannot beat.

    python -m perf.inprocess

Preprocessing and the network run as the model repository has them on a CPU: its `photo.py`,
and the network that its configuration names, in OpenVINO on one thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from perf import repository
from perf.markdown import table
from perf.photos import jpeg
from perf.timing import Job, medians, throughput

MEGAPIXELS = (0.3, 0.5, 2, 12)
SECONDS = 3.0  # for each size, and again for all cores

# As the server's backend compiles it, which takes one photo at a time too.
ENGINE = {
    "NUM_STREAMS": 1,
    "INFERENCE_NUM_THREADS": 1,
    "INFERENCE_PRECISION_HINT": "f32",
    "ENABLE_CPU_PINNING": False,
}

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
Arrays = Mapping[str, NDArray[Any]]


class OpenVino:
    """A graph for inputs of these shapes, run as the server's backend runs it."""

    def __init__(self, model: Path, shapes: Mapping[str, Sequence[int]]) -> None:
        core = openvino.Core()
        graph = core.read_model(model)
        graph.reshape({name: list(shape) for name, shape in shapes.items()})
        self._request = core.compile_model(graph, "CPU", ENGINE).create_infer_request()

    def run(self, inputs: Arrays) -> NDArray[np.float32]:
        """The first output."""
        for name, array in inputs.items():
            self._request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        self._request.infer()
        return np.array(self._request.get_output_tensor(0).data)


class InProcess:
    """The ensemble's steps as functions, on one thread."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._photo = repository.photo_module()
        self._canvas = repository.canvas()
        shapes = {"PIXELS": (1, self._canvas, self._canvas, 3), "EXTENT": (1, 2)}
        self._network = OpenVino(repository.network_file(), shapes)

    def preprocess(self, upload: bytes) -> tuple[Pixels, Size, Size]:
        """The network's input: pixels, extent (height, width); and the photo's (width, height)."""
        pixels, extent, size = self._photo.load(upload, self._canvas)
        return pixels, extent, size

    def network(self, pixels: Pixels, extent: Size) -> NDArray[np.float32]:
        """Where people look, float32 [h, w]."""
        inputs: Arrays = {"PIXELS": pixels[None], "EXTENT": np.array([extent], np.int32)}
        return np.asarray(self._network.run(inputs)[0])

    def predict(self, upload: bytes) -> tuple[NDArray[np.float32], Size]:
        """The density of an upload, and the photo's (width, height)."""
        pixels, extent, size = self.preprocess(upload)
        return self.network(pixels, extent), size


@dataclass(frozen=True)
class Bound:
    """For photos of one size.

    Attributes:
        preprocess, network: milliseconds on one thread.
        rate: photos a second, with one process of one thread for each core.
    """

    megapixels: float
    preprocess: float
    network: float
    rate: float

    @property
    def together(self) -> float:
        return self.preprocess + self.network


def measure(megapixels: float, seconds: float = SECONDS) -> Bound:
    steps, upload = InProcess(), jpeg(megapixels)
    pixels, extent, _ = steps.preprocess(upload)
    taken = medians(
        {
            "preprocess": lambda: steps.preprocess(upload),
            "network": lambda: steps.network(pixels, extent),
        },
        seconds,
    )
    rate = throughput(partial(_predictions, megapixels), seconds)
    return Bound(megapixels, taken["preprocess"], taken["network"], rate)


def _predictions(megapixels: float) -> Job:
    return partial(InProcess().predict, jpeg(megapixels))


def markdown(bounds: list[Bound]) -> str:
    columns = ("photo", "preprocess ms", "network ms", "together ms", "photos/s on all cores")
    return table(
        columns,
        [
            (f"{bound.megapixels} MP", bound.preprocess, bound.network, bound.together, bound.rate)
            for bound in bounds
        ],
    )


def main() -> None:
    print(markdown([measure(megapixels) for megapixels in MEGAPIXELS]))


if __name__ == "__main__":
    main()
