"""What Triton's response cache saves on repeated uploads, and what it costs on the others.

python -m perf.cache
"""

from dataclasses import dataclass

from perf.analyzer import Figures, Load, measure
from perf.markdown import table
from perf.photos import jpeg
from perf.serving import serve

MEGAPIXELS = 2
LOAD = Load(concurrency=8)
UPLOADS = 64  # which take turns, so that a cache for half of them never holds the next one
LARGE, SMALL = 2**26, 2**17  # bytes; an answer takes 4.3 kB


@dataclass(frozen=True)
class Cached:
    """A server without the cache, with one that lacks every upload, and one that has them all."""

    without: Figures
    missed: Figures
    hit: Figures


def measured() -> Cached:
    # What follows a JPEG's end is no part of the photo, and makes it another upload.
    uploads = [jpeg(MEGAPIXELS) + bytes([number]) for number in range(UPLOADS)]
    figures = []
    for options in ((), _cache_of(SMALL), _cache_of(LARGE)):
        with serve(options=options) as server:
            measure(server.grpc, uploads, LOAD)
            figures.append(measure(server.grpc, uploads, LOAD))
    return Cached(*figures)


def _cache_of(size: int) -> tuple[str, ...]:
    return (f"--cache-config=local,size={size}",)


def markdown(cached: Cached) -> str:
    rows = {"no cache": cached.without, "missed": cached.missed, "hit": cached.hit}
    return table(
        ("response cache", "photos/s", "p50 ms", "p99 ms"),
        [(name, row.rate, row.p50, row.p99) for name, row in rows.items()],
    )


def main() -> None:
    print(markdown(measured()))


if __name__ == "__main__":
    main()
