"""How serving grows: with instances of the models, with requests, from the start.

python -m perf.growth
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perf.analyzer import Load, send
from perf.load import point
from perf.markdown import table
from perf.photos import jpeg
from perf.repository import MODELS, NETWORK, PREPROCESS
from perf.serving import serve
from server.instances import suited_to, usable_cores, with_instances

INSTANCES = [(preprocess, network) for network in (1, 2) for preprocess in (1, 2, 3, 4)]
MEGAPIXELS = 2
LOAD = Load(concurrency=8)

REQUESTS = 20_000
READINGS = 10
MEMORY_MEGAPIXELS = 0.3
MEMORY_CONCURRENCY = 8


@dataclass(frozen=True)
class Instances:
    """Throughput in photos a second, and p99 in ms, with so many instances of each model."""

    preprocess: int
    network: int
    rate: float
    p99: float


@dataclass(frozen=True)
class Endurance:
    """One server, from its start over many requests.

    Attributes:
        seconds_to_answer: from its start to the answer to a first photo.
        megabytes: its private memory after so many requests.
    """

    seconds_to_answer: float
    megabytes: dict[int, float]

    @property
    def growth(self) -> float:
        """Megabytes that it grew by since the first reading."""
        first, *_, last = self.megabytes.values()
        return last - first


def by_instances() -> Iterator[Instances]:
    """Throughput by the number of instances, each in a server of its own."""
    for preprocess, network in INSTANCES:
        with tempfile.TemporaryDirectory(prefix="gazecrop-perf-") as folder:
            suited = suited_to(usable_cores())._replace(preprocess=preprocess, student=network)
            with serve(with_instances(MODELS, Path(folder), suited)) as server:
                figures = point(server.grpc, MEGAPIXELS, LOAD).figures
        yield Instances(preprocess, network, figures.rate, figures.p99)


def endurance() -> Endurance:
    upload = jpeg(MEMORY_MEGAPIXELS)
    with serve() as server:
        seconds = server.seconds_to_answer(upload)
        megabytes = {}
        for reading in range(1, READINGS + 1):
            send(server.grpc, upload, REQUESTS // READINGS, MEMORY_CONCURRENCY)
            megabytes[reading * REQUESTS // READINGS] = server.resident_bytes() / 1e6
    return Endurance(seconds, megabytes)


def instances_markdown(rows: list[Instances]) -> str:
    columns = (f"instances of {PREPROCESS}", f"of {NETWORK}", "photos/s", "p99 ms")
    return table(columns, [(row.preprocess, row.network, row.rate, row.p99) for row in rows])


def memory_markdown(measured: Endurance) -> str:
    return table(("requests", "MB"), [(f"{n:,}", mb) for n, mb in measured.megabytes.items()])


def main() -> None:
    print(instances_markdown(list(by_instances())))
    measured = endurance()
    print(memory_markdown(measured))
    print(f"first answer after {measured.seconds_to_answer:.1f} s")


if __name__ == "__main__":
    main()
