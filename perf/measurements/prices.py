"""Fit what a layer's work costs to the measured times of networks of many shapes.

    python -m perf.measurements.prices

Students of random widths are exported, rounded to 8 bits, and timed on one thread in OpenVINO. The
prices of `training.networks.cost` are then the least squares, none below 0, of the mean of both
times; a constant beside them stands for what no width changes. Printed for that module, with how
well they explain the times.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls

from export.int8 import quantised
from export.onnx import to_onnx
from perf.measurements.network import measure
from training.networks.cost import GROUP, Prices, groups, layers, width, with_width
from training.networks.student import Student, StudentSizes

NETWORKS = 12
NARROWEST = 0.2  # of the full width
SECONDS = 1.5  # for each network
MILLION = 1e6


def shapes() -> list[StudentSizes]:
    """Students of random widths, always the same."""
    random, found = np.random.default_rng(0), []
    for _ in range(NETWORKS):
        sizes = StudentSizes()
        for group in groups(sizes):
            steps = width(sizes, group) // GROUP
            kept = random.integers(max(1, round(NARROWEST * steps)), steps, endpoint=True)
            sizes = with_width(sizes, group, int(kept) * GROUP)
        found.append(sizes)
    return found


def work(sizes: StudentSizes) -> NDArray[np.float64]:
    """Millions of dense and of depthwise MACs, and of values written."""
    parts = [(layer.dense, layer.depthwise, layer.values) for layer in layers(sizes)]
    return np.sum(parts, axis=0) / MILLION


def times(sizes: list[StudentSizes]) -> NDArray[np.float64]:
    """Milliseconds of each network: the mean of fp32 and of 8-bit integers."""
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Path] = {}
        for number, network_sizes in enumerate(sizes):
            torch.manual_seed(number)
            exact, rounded = (Path(folder) / f"{number}.{kind}.onnx" for kind in ("fp32", "int8"))
            exact.write_bytes(to_onnx(Student(network_sizes).eval()).SerializeToString())
            rounded.write_bytes(quantised(exact))
            files |= {exact.name: exact, rounded.name: rounded}
        taken = np.array(list(measure(files, seconds=SECONDS)["OpenVINO"].values()))
    return np.asarray(taken.reshape(-1, 2).mean(axis=1))


def fitted(
    done: NDArray[np.float64], taken: NDArray[np.float64]
) -> tuple[Prices, float, NDArray[np.float64]]:
    """Prices, the constant, and the modelled times, of work [networks, 3] and times [networks]."""
    columns = np.column_stack([done, np.ones(len(done))])
    (dense, depthwise, values, constant), _ = nnls(columns / taken[:, None], np.ones(len(done)))
    prices = Prices(float(dense), float(depthwise), float(values))
    return prices, float(constant), columns @ (dense, depthwise, values, constant)


def main() -> None:
    sizes = shapes()
    taken = times(sizes)
    prices, constant, modelled = fitted(np.array([work(one) for one in sizes]), taken)
    off = np.abs(modelled / taken - 1)
    print(f"{prices}, and {constant:.2f} ms; off by {off.mean():.1%}, at most {off.max():.1%}")


if __name__ == "__main__":
    main()
