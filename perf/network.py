"""Time networks side by side: onnxruntime in fp32 on one thread, one photo at a time.

    python -m perf.network [NAME=FILE.onnx …] [--size 320x240]

Prints the median latency of each, and how many times faster the shipped student is. Graphs
whose input has no fixed size (Twitter's, say) get pictures of `--size`. The networks take
turns, so that a machine that slows down slows all of them.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

STUDENT = Path(__file__).parents[1] / "model_repository" / "student" / "1" / "model.onnx"
ROUNDS = 60
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int32)": np.int32}


class Timed:
    """A network with an input of random pixels."""

    def __init__(self, model: Path, size: tuple[int, int]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {value.name: _input(value, size) for value in self.session.get_inputs()}
        self.seconds: list[float] = []

    def run(self) -> None:
        started = time.perf_counter()
        self.session.run(None, self.inputs)
        self.seconds.append(time.perf_counter() - started)

    @property
    def milliseconds(self) -> float:
        return float(np.median(self.seconds[ROUNDS // 4 :]) * 1000)


def _input(value: onnxruntime.NodeArg, size: tuple[int, int]) -> NDArray[np.generic]:
    free = iter((1, size[1], size[0]))  # batch, height, width, where the graph leaves them open
    shape = [side if isinstance(side, int) else next(free) for side in value.shape]
    # An extent is two numbers, the photo's height and width on the canvas: all of it here.
    high = 255 if len(shape) == 4 else 256
    low = 0 if len(shape) == 4 else 255
    values = np.random.default_rng(0).integers(low, high, shape, endpoint=True)
    return values.astype(TYPES[value.type])


def main() -> None:
    parser = argparse.ArgumentParser(description="one-thread latency of networks")
    parser.add_argument("models", nargs="*", metavar="NAME=FILE.onnx")
    parser.add_argument("--size", default="320x240", help="pictures for graphs of any size")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    named = {"student": STUDENT} | {
        name: Path(file) for name, _, file in (model.partition("=") for model in args.models)
    }
    networks = {name: Timed(file, (width, height)) for name, file in named.items()}
    for _ in range(ROUNDS):
        for network in networks.values():
            network.run()
    for name, network in networks.items():
        ratio = network.milliseconds / networks["student"].milliseconds
        print(f"{name:<12} {network.milliseconds:7.2f} ms  {ratio:5.1f} times the student's")


if __name__ == "__main__":
    main()
