"""Time networks side by side: on one thread, one photo at a time, in one engine.

    python -m perf.network [NAME=FILE.onnx …] [--engine openvino] [--size 320x240]

Prints the median latency of each, and how many times faster the shipped student is: the one in
fp32, and besides, if the CPU is served another file (8-bit integers, say), that one. Graphs
whose input has no fixed size (Twitter's, say) get pictures of `--size`. The networks take
turns, so that a machine that slows down slows all of them.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from perf.inprocess import OpenVino
from perf.repository import MODELS, NETWORK, network_file
from perf.timing import Job, medians

STUDENT = MODELS / NETWORK / "1" / "model.onnx"
SECONDS = 4.0  # for each network
SIZE = (320, 240)  # what Twitter's tool makes of a photo of 4:3
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int32)": np.int32}

Inputs: TypeAlias = dict[str, NDArray[Any]]
Session: TypeAlias = onnxruntime.InferenceSession


def student_files() -> dict[str, Path]:
    """The student in fp32, and the file that the CPU is served if that is another one."""
    served = network_file()
    return {"student": STUDENT} | ({} if served == STUDENT else {served.stem: served})


def measure(
    models: Mapping[str, Path],
    engine: str,
    size: tuple[int, int] = SIZE,
    seconds: float = SECONDS,
) -> dict[str, float]:
    """Median milliseconds on one thread.

    Args:
        models: ONNX files by name.
        engine: one of `ENGINES`.
        size: width and height of the pictures for graphs of any size.
        seconds: for each.
    """
    jobs = {name: _job(file, engine, size) for name, file in models.items()}
    return medians(jobs, seconds * len(jobs))


def _job(model: Path, engine: str, size: tuple[int, int]) -> Job:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = Session(model, options, providers=["CPUExecutionProvider"])
    inputs = {value.name: _pixels(value, size) for value in session.get_inputs()}
    return ENGINES[engine](model, session, inputs)


def _onnxruntime(model: Path, session: Session, inputs: Inputs) -> Job:
    return lambda: session.run(None, inputs)


def _openvino(model: Path, session: Session, inputs: Inputs) -> Job:
    network = OpenVino(model, {name: values.shape for name, values in inputs.items()})
    return lambda: network.run(inputs)


ENGINES: dict[str, Callable[[Path, Session, Inputs], Job]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def _pixels(value: onnxruntime.NodeArg, size: tuple[int, int]) -> NDArray[Any]:
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
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime")
    parser.add_argument("--size", default="320x240", help="pictures for graphs of any size")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    named = student_files() | {
        name: Path(file) for name, _, file in (model.partition("=") for model in args.models)
    }
    taken = measure(named, args.engine, (width, height))
    for name, milliseconds in taken.items():
        ratio = milliseconds / taken["student"]
        print(f"{name:<12} {milliseconds:7.2f} ms  {ratio:5.1f} times the student's")


if __name__ == "__main__":
    main()
