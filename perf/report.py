"""Measure everything, and write it down.

    python -m perf.report [--twitter FILE.onnx]

It takes minutes and wants the machine for itself. It writes perf/report.md, docs/load.png and,
where `training.evaluation.croppers` has left docs/croppers.json, docs/quality-over-cost.png.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from perf import cache, growth, inprocess, load, machine, overload, peers, quality
from perf.analyzer import AnalyzerError
from perf.findings import findings
from perf.markdown import table
from perf.photos import jpeg
from perf.plots import draw_load, draw_quality
from perf.results import BUSY, IN_FLIGHT, Results, measure
from perf.serving import ServerError
from perf.timing import cores

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "perf" / "report.md"
LOAD, QUALITY = "docs/load.png", "docs/quality-over-cost.png"
PLOTTED = 2  # megapixels of the photos in the latter

Gaps = Mapping[str, Mapping[str, float]]


def markdown(results: Results, gaps: Gaps) -> str:
    """The report."""
    sections = {
        "How fast gazecrop is": _introduction(results) + _list(findings(results)),
        "The network alone": "Milliseconds on one thread, one photo at a time, taking turns "
        f"(`python -m perf.network`).\n\n{_networks(results)}",
        "Without a server": "Preprocessing and the network in process, on one thread; the photos "
        "a second are those of one such process for each core. Serving cannot beat this "
        f"(`python -m perf.inprocess`).\n\n{inprocess.markdown(results.bounds)}",
        "Served": _served(results),
        "Overload": f"Requests for {overload.MEGAPIXELS} MP at random times, sent by one Python "
        "client on the same cores (`python -m perf.overload`).\n\n"
        + overload.markdown(results.overload),
        "Repeated uploads": f"{cache.UPLOADS} photos of {cache.MEGAPIXELS} MP in turn, "
        f"{cache.LOAD} requests in flight (`python -m perf.cache`).\n\n"
        + cache.markdown(results.cached),
        "The same job, other tools": _peers(results, gaps),
        "Growth": _growth(results),
    }
    parts = [f"{'#' if n == 0 else '##'} {title}\n\n" for n, title in enumerate(sections)]
    return "\n".join(map("".join, zip(parts, sections.values(), strict=True)))


def _introduction(results: Results) -> str:
    bytes_per_pixel = [len(jpeg(size)) / size / 1e6 for size in load.MEGAPIXELS]
    shared = f"**Other programs used up to {results.neighbours:.1f} cores meanwhile.** "
    return (
        "Written by `make perf` (`python -m perf.report`). Ratios are of one run on one machine:\n"
        f"\n{machine.describe()}\n"
        f"{shared if results.neighbours > BUSY else ''}"
        "Client, load generator and server share its cores. The photos are JPEGs of quality 90 "
        f"with a camera's noise, {min(bytes_per_pixel):.2f}–{max(bytes_per_pixel):.2f} bytes a "
        "pixel.\n\n"
    )


def _list(lines: list[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _networks(results: Results) -> str:
    names = list(next(iter(results.networks.values())))
    return table(
        ("engine", *names),
        [(engine, *taken.values()) for engine, taken in results.networks.items()],
    )


def _served(results: Results) -> str:
    return (
        "The ensemble over gRPC, loaded by perf_analyzer (`python -m perf.load`). A load is a "
        "number of requests in flight, or of requests a second at random times. What happens in "
        "the server is in mean milliseconds: waiting in queues, then each step, neighbours in "
        f"the batch included.\n\n{load.markdown(results.points)}\n"
        f"![Throughput against latency, and where the time goes](../{LOAD})\n"
    )


def _peers(results: Results, gaps: Gaps) -> str:
    text = (
        "A JPEG in, the rectangle of the largest square out; in process, on one thread; photos a "
        f"second with such a process on each of the {cores()} cores (`python -m perf.peers`, "
        "whose help says how each tool is set). Served: the median of lone requests, and photos a "
        f"second with {IN_FLIGHT} in flight; the window, 0.2 ms, comes after.\n\n"
    )
    for megapixels in results.speeds:
        text += f"Photos of {megapixels} MP:\n\n{peers.markdown(results.tools(megapixels))}\n"
    if not gaps:
        return text + "docs/croppers.json is not there, so quality is not shown.\n"
    tools = [
        tool for tool in results.tools(PLOTTED) if any(tool in of_set for of_set in gaps.values())
    ]
    rows = [(tool, *(of_set.get(tool) for of_set in gaps.values())) for tool in tools]
    return (
        f"{text}How well they crop, from a centred crop (0) to the best possible (1), as "
        "`python -m training.evaluation.croppers` measured it:\n\n"
        f"{table(('gap closed', *gaps), rows)}\n"
        f"![Quality over cost](../{QUALITY})\n"
    )


def _growth(results: Results) -> str:
    return (
        f"Photos of {growth.MEGAPIXELS} MP a second with {growth.LOAD} requests in flight, by "
        "instances of the models (`python -m perf.growth`):\n\n"
        f"{growth.instances_markdown(results.instances)}\n"
        f"Private memory of the server's processes over requests for {growth.MEMORY_MEGAPIXELS} "
        f"MP:\n\n{growth.memory_markdown(results.endurance)}"
    )


def write(results: Results) -> list[Path]:
    """Write the report and its pictures; the files written."""
    gaps = quality.read()
    REPORT.write_text(markdown(results, gaps), "utf-8")
    draw_load(results.points, ROOT / LOAD)
    if not gaps:
        return [REPORT, ROOT / LOAD]
    draw_quality(PLOTTED, results.tools(PLOTTED), gaps, ROOT / QUALITY)
    return [REPORT, ROOT / LOAD, ROOT / QUALITY]


class Progress:
    """A line for each thing done, with the minutes since the start."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{minutes:2}:{seconds:02}  {text}", flush=True)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="measure how fast gazecrop is, and write it down")
    parser.add_argument("--twitter", type=Path, help="Twitter's network of 2018 as ONNX")
    args = parser.parse_args()
    if args.twitter and not args.twitter.is_file():
        parser.error(f"{args.twitter} does not exist")
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell made us ignore Ctrl-C
        signal.signal(number, _interrupt)
    try:
        written = write(measure(args.twitter, Progress()))
    except (AnalyzerError, ServerError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print("wrote", *(file.relative_to(ROOT) for file in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
