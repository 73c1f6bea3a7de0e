"""What the work itself takes, without a server: the bound that serving cannot beat.

    python -m perf.measurements.bound

Preprocessing and the network run in this process: the served code on the served model
repository, on one thread.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from perf.instruments.photos import jpeg
from perf.instruments.served import InProcess
from perf.instruments.tables import table
from perf.instruments.timing import Job, medians, throughput

MEGAPIXELS = (0.3, 0.5, 2, 12)
SECONDS = 3.0  # for each size, and again for all cores


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


def markdown(bounds: Iterable[Bound]) -> str:
    columns = ("photo", "preprocess ms", "network ms", "together ms", "photos/s on all cores")
    rows = [(f"{b.megapixels:g} MP", b.preprocess, b.network, b.together, b.rate) for b in bounds]
    return table(columns, rows)


def main() -> None:
    print(markdown(map(measure, MEGAPIXELS)))


if __name__ == "__main__":
    main()
