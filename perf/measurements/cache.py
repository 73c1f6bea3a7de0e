"""What Triton's response cache saves on repeated uploads, and what it costs on the others.

python -m perf.measurements.cache
"""

from dataclasses import dataclass

from perf.instruments import analyzer
from perf.instruments.analyzer import WINDOW_MS, Load
from perf.instruments.photos import jpeg
from perf.instruments.serving import serve
from perf.instruments.tables import table

MEGAPIXELS = 2
LOAD = Load(concurrency=8)
UPLOADS = 64  # which take turns, so that a cache for half of them never holds the next one
LARGE, SMALL = 2**26, 2**17  # bytes; an answer takes 4.3 kB


@dataclass(frozen=True)
class Answers:
    """Photos answered a second, and milliseconds to the answers."""

    rate: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Cached:
    """A server without the cache, with one that lacks every upload, and one that has them all."""

    without: Answers
    missed: Answers
    hit: Answers


def measure(count: int = UPLOADS, window_ms: int = WINDOW_MS) -> Cached:
    """With so many different uploads, which take turns."""
    # What follows a JPEG's end is no part of the photo, and makes it another upload.
    uploads = [jpeg(MEGAPIXELS) + bytes([number]) for number in range(count)]
    answers = []
    for options in ((), _cache_of(SMALL), _cache_of(LARGE)):
        with serve(options=options) as server:
            analyzer.measure(server.grpc, uploads, LOAD, window_ms)
            figures = analyzer.measure(server.grpc, uploads, LOAD, window_ms)
            answers.append(Answers(figures.rate, figures.p50, figures.p99))
    return Cached(*answers)


def _cache_of(size: int) -> tuple[str, ...]:
    return (f"--cache-config=local,size={size}",)


def markdown(cached: Cached) -> str:
    rows = {"no cache": cached.without, "missed": cached.missed, "hit": cached.hit}
    return table(
        ("response cache", "photos/s", "p50 ms", "p99 ms"),
        [(name, row.rate, row.p50, row.p99) for name, row in rows.items()],
    )


def main() -> None:
    print(markdown(measure()))


if __name__ == "__main__":
    main()
