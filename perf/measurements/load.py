"""Load a running ensemble over gRPC with Triton's perf_analyzer.

    python -m perf.measurements.load [--server HOST:PORT]

Real JPEGs of several sizes, at several numbers of requests in flight; then 2 MP at random times,
at shares of the most that the server managed. Prints throughput, latency, and where in the
server the time went.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perf.instruments.analyzer import WINDOW_MS, Figures, Load, measure
from perf.instruments.photos import jpeg
from perf.instruments.statistics import Split, Statistics
from perf.instruments.tables import table

MEGAPIXELS = (0.3, 2, 12)
CONCURRENCIES = (1, 2, 4, 8, 16)
SMALL = 0.5  # megapixels of the photo for the latency of a lone request
OPEN_LOOP = 2  # megapixels
SHARES = (0.25, 0.5, 0.75, 0.9)  # of the highest throughput


@dataclass(frozen=True)
class Point:
    """One load and what came of it."""

    megapixels: float
    load: Load
    figures: Figures
    split: Split


def point(server: str, megapixels: float, load: Load, window_ms: int = WINDOW_MS) -> Point:
    """Put one load on a server."""
    with Statistics(server) as statistics:
        before = statistics.read()
        figures = measure(server, [jpeg(megapixels)], load, window_ms)
        return Point(megapixels, load, figures, statistics.since(before))


def sweep(
    server: str,
    sizes: Sequence[float] = MEGAPIXELS,
    concurrencies: Sequence[int] = CONCURRENCIES,
    shares: Sequence[float] = SHARES,
    window_ms: int = WINDOW_MS,
) -> Iterator[Point]:
    """The closed loops, then the open ones; each as it is done.

    Args:
        sizes: of the photos in megapixels, `OPEN_LOOP` among them.
    """
    yield point(server, SMALL, Load(concurrency=1), window_ms)
    highest = 0.0
    for megapixels in sizes:
        for concurrency in concurrencies:
            done = point(server, megapixels, Load(concurrency=concurrency), window_ms)
            if megapixels == OPEN_LOOP:
                highest = max(highest, done.figures.rate)
            yield done
    for share in shares:
        yield point(server, OPEN_LOOP, Load(rate=share * highest), window_ms)


def markdown(points: list[Point]) -> str:
    """Milliseconds inside the server are means; queue, and each step's computing, are parts."""
    steps = list(points[0].split.steps)
    columns = ["photo", "load", "photos/s", "p50 ms", "p95 ms", "p99 ms", "in the server"]
    columns += ["queue", *steps, *(f"batch of {step}" for step in steps)]
    return table(columns, [_row(done) for done in points])


def _row(done: Point) -> list[object]:
    figures, split = done.figures, done.split
    computing = [step.compute for step in split.steps.values()]
    batches = [step.batch for step in split.steps.values()]
    latencies = [figures.p50, figures.p95, figures.p99]
    cells = [f"{done.megapixels:g} MP", str(done.load), figures.rate, *latencies]
    return [*cells, split.total, split.queue, *computing, *batches]


def describe(done: Point) -> str:
    """One line, while measuring."""
    figures = done.figures
    return (
        f"{done.megapixels:g} MP, load {done.load}: {figures.rate:.0f} photos/s, "
        f"p50 {figures.p50:.1f} ms, p99 {figures.p99:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="throughput and latency of the ensemble")
    parser.add_argument("--server", default="localhost:8001", help="Triton's gRPC address")
    args = parser.parse_args()
    points = []
    for done in sweep(args.server):
        print(describe(done), flush=True)
        points.append(done)
    print(f"\n{markdown(points)}")


if __name__ == "__main__":
    main()
