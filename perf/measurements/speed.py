"""The same job for gazecrop and its peers (`perf.croppers`), in one run on one machine.

    python -m perf.measurements.speed [--twitter FILE.onnx]

The job: the bytes of a JPEG in, the largest square crop's rectangle out.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from perf.croppers import GAZECROP, names, open_cropper
from perf.instruments.photos import jpeg
from perf.instruments.tables import table
from perf.instruments.timing import Job, cores, medians, throughput

MEGAPIXELS = (0.3, 2)
RATIO = 1.0
SECONDS = 12.0  # for all on one thread, taking turns
CORE_SECONDS = 3.0  # for each on all cores


@dataclass(frozen=True)
class Speed:
    """Of one tool, for photos of one size.

    Attributes:
        milliseconds: for a photo, on one thread.
        rate: photos a second, with one process of one thread for each core.
    """

    milliseconds: float
    rate: float


def measure(
    croppers: Sequence[str],
    megapixels: float,
    twitter: Path | None = None,
    seconds: float = SECONDS,
    core_seconds: float = CORE_SECONDS,
) -> Iterator[tuple[str, Speed]]:
    """The croppers' names and their speeds on photos of a size, each as it is done."""
    jobs = {name: _crops(name, megapixels, twitter) for name in croppers}
    for name, milliseconds in medians(jobs, seconds).items():
        rate = throughput(partial(_crops, name, megapixels, twitter), core_seconds)
        yield name, Speed(milliseconds, rate)


def _crops(name: str, megapixels: float, twitter: Path | None) -> Job:
    return partial(open_cropper(name, twitter), jpeg(megapixels), RATIO)


def markdown(speeds: Mapping[str, Speed]) -> str:
    """Ratios below 1 are of tools that are faster than gazecrop in process."""
    ours = speeds[GAZECROP]
    columns = ("tool", "ms", "ms by gazecrop's", "photos/s", "gazecrop's photos/s by these")
    return table(
        columns,
        [
            (
                name,
                speed.milliseconds,
                speed.milliseconds / ours.milliseconds,
                speed.rate,
                ours.rate / speed.rate,
            )
            for name, speed in speeds.items()
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="gazecrop and its peers, side by side")
    parser.add_argument("--twitter", type=Path, help="Twitter's network of 2018 as ONNX")
    args = parser.parse_args()
    for megapixels in MEGAPIXELS:
        print(f"{megapixels} MP, one thread each; photos/s with one on each of {cores()} cores\n")
        print(markdown(dict(measure(names(args.twitter), megapixels, args.twitter))))


if __name__ == "__main__":
    main()
