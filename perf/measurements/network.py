"""Time networks side by side: on one thread, one photo at a time, in each engine.

    python -m perf.measurements.network [NAME=FILE.onnx …] [--size 320x240]

Prints the median latency of each, the shipped student in fp32 among them and, if the CPU is
served another file (8-bit integers, say), that one. The engines are the server's own. Graphs
whose input has no fixed size (Twitter's, say) get pictures of `--size`. The networks take
turns, so that a machine that slows down slows all of them.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from perf.instruments.served import NETWORK_FOLDER, network_file
from perf.instruments.tables import table
from perf.instruments.timing import Job, medians
from server.backends.onnxruntime.engines import OnnxRuntime, OpenVino

STUDENT = NETWORK_FOLDER / "model.onnx"
ENGINES: dict[str, type[OnnxRuntime] | type[OpenVino]] = {
    "onnxruntime": OnnxRuntime,
    "OpenVINO": OpenVino,
}
SECONDS = 4.0  # for each network
SIZE = (320, 240)  # what Twitter's tool makes of a photo of 4:3
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int32)": np.int32}
ONE_THREAD = {
    f"{kind}_op_thread_count": {"string_value": "1"} for kind in ("intra", "inter")
}  # as `config.pbtxt` says it

Taken: TypeAlias = dict[str, dict[str, float]]


def student_files() -> dict[str, Path]:
    """The student in fp32, and the file that the CPU is served if that is another one."""
    served = network_file()
    return {"student, fp32": STUDENT} | ({} if served == STUDENT else {"student, int8": served})


def measure(
    models: Mapping[str, Path], size: tuple[int, int] = SIZE, seconds: float = SECONDS
) -> Taken:
    """Median milliseconds on one thread, by engine and network.

    Args:
        models: ONNX files by name.
        size: width and height of the pictures for graphs of any size.
        seconds: for each.
    """
    return {
        engine: medians(
            {name: _job(file, engine, size) for name, file in models.items()},
            seconds * len(models),
        )
        for engine in ENGINES
    }


def _job(model: Path, engine: str, size: tuple[int, int]) -> Job:
    described = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {value.name: _pixels(value, size) for value in described.get_inputs()}
    outputs = [value.name for value in described.get_outputs()]
    config = {
        "max_batch_size": 1,
        "input": [{"name": name, "dims": array.shape[1:]} for name, array in inputs.items()],
        "parameters": ONE_THREAD,
    }
    network = ENGINES[engine](model, config)
    return lambda: network.run(inputs, outputs)


def _pixels(value: onnxruntime.NodeArg, size: tuple[int, int]) -> NDArray[Any]:
    free = iter((1, size[1], size[0]))  # batch, height, width, where the graph leaves them open
    shape = [side if isinstance(side, int) else next(free) for side in value.shape]
    # An extent is two numbers, the photo's height and width on the canvas: all of it here.
    high = 255 if len(shape) == 4 else 256
    low = 0 if len(shape) == 4 else 255
    values = np.random.default_rng(0).integers(low, high, shape, endpoint=True)
    return values.astype(TYPES[value.type])


def markdown(taken: Taken) -> str:
    names = list(next(iter(taken.values())))
    return table(("engine", *names), [(engine, *row.values()) for engine, row in taken.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description="one-thread latency of networks")
    parser.add_argument("models", nargs="*", metavar="NAME=FILE.onnx")
    parser.add_argument("--size", default="320x240", help="pictures for graphs of any size")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    named = {name: Path(file) for name, _, file in (model.partition("=") for model in args.models)}
    print(markdown(measure(student_files() | named, (width, height))))


if __name__ == "__main__":
    main()
