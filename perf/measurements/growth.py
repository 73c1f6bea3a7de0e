"""How serving grows: with instances of the models, with requests, from the start.

python -m perf.measurements.growth
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.instruments.analyzer import WINDOW_MS, Load, send
from perf.instruments.photos import jpeg
from perf.instruments.served import NETWORK, PREPROCESS
from perf.instruments.serving import serve
from perf.instruments.tables import table
from perf.measurements.load import point
from server.embedded import MODEL_REPOSITORY
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


def by_instances(
    instances: Sequence[tuple[int, int]] = INSTANCES, window_ms: int = WINDOW_MS
) -> Iterator[Instances]:
    """Throughput by the number of instances (preprocess, network), each in its own server."""
    for preprocess, network in instances:
        with tempfile.TemporaryDirectory(prefix="gazecrop-perf-") as folder:
            suited = suited_to(usable_cores())._replace(preprocess=preprocess, student=network)
            with serve(with_instances(MODEL_REPOSITORY, Path(folder), suited)) as server:
                figures = point(server.grpc, MEGAPIXELS, LOAD, window_ms).figures
        yield Instances(preprocess, network, figures.rate, figures.p99)


def endurance(requests: int = REQUESTS) -> Endurance:
    upload = jpeg(MEMORY_MEGAPIXELS)
    with serve() as server:
        seconds = server.seconds_to_answer(upload)
        megabytes = {}
        for reading in range(1, READINGS + 1):
            send(server.grpc, upload, requests // READINGS, MEMORY_CONCURRENCY)
            megabytes[reading * requests // READINGS] = server.private_bytes() / 1e6
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
