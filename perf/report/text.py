"""The report's text, made from the figures alone."""

from collections.abc import Mapping

from perf.instruments.tables import table
from perf.measurements import bound, cache, growth, load, network, overload, speed
from perf.measurements.soak import results as soak
from perf.report.findings import findings
from perf.report.results import BUSY, IN_FLIGHT, Results

Gaps = Mapping[str, Mapping[str, float]]  # by fixation set and tool: the gap closed


def markdown(
    results: Results,
    gaps: Gaps,
    soaked: soak.Soak | None,
    load_plot: str,
    quality_plot: str | None,
) -> str:
    """The report.

    Args:
        gaps: how well the tools crop.
        soaked: what came of the last soak, if there was one.
        load_plot, quality_plot: addresses of the pictures; None where there is none.
    """
    sections = {
        "How fast gazecrop is": _introduction(results) + _list(findings(results)),
        "The network alone": "Milliseconds on one thread, one photo at a time, taking turns "
        f"(`python -m perf.measurements.network`).\n\n{network.markdown(results.networks)}",
        "Without a server": "Preprocessing and the network in process, on one thread; the photos "
        "a second are those of one such process for each core. Serving cannot beat this "
        f"(`python -m perf.measurements.bound`).\n\n{bound.markdown(results.bounds)}",
        "Served": _served(results, load_plot),
        "Overload": f"Requests for {overload.MEGAPIXELS} MP at random times, sent by one Python "
        "client on the same cores (`python -m perf.measurements.overload`).\n\n"
        + overload.markdown(results.overload),
        "Repeated uploads": f"{cache.UPLOADS} photos of {cache.MEGAPIXELS} MP in turn, "
        f"{cache.LOAD} requests in flight (`python -m perf.measurements.cache`).\n\n"
        + cache.markdown(results.cached),
        "The same job, other tools": _peers(results) + _quality(gaps, quality_plot),
        "Growth": _growth(results),
        "Soak": _soak(soaked),
    }
    parts = [f"{'#' if n == 0 else '##'} {title}\n\n" for n, title in enumerate(sections)]
    return "\n".join(map("".join, zip(parts, sections.values(), strict=True)))


def _introduction(results: Results) -> str:
    shared = f"**Other programs used up to {results.neighbours:.1f} cores meanwhile.** "
    least, most = results.bytes_per_pixel
    return (
        "Written by `make perf` (`python -m perf.report`) from [report.json](report.json). Ratios "
        "are of one run on one machine:\n"
        f"\n{results.machine.markdown()}\n"
        f"{shared if results.neighbours > BUSY else ''}"
        "Client, load generator and server share its cores. The photos are JPEGs of quality 90 "
        f"with a camera's noise, {least:.2f}–{most:.2f} bytes a pixel.\n\n"
    )


def _list(lines: list[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _served(results: Results, plot: str) -> str:
    return (
        "The ensemble over gRPC, loaded by perf_analyzer (`python -m perf.measurements.load`). A "
        "load is a number of requests in flight, or of requests a second at random times. What "
        "happens in the server is in mean milliseconds: waiting in queues, then each step, "
        f"neighbours in the batch included.\n\n{load.markdown(results.points)}\n"
        f"![Throughput against latency, and where the time goes]({plot})\n"
    )


def _peers(results: Results) -> str:
    text = (
        "A JPEG in, the rectangle of the largest square out; in process, on one thread; photos a "
        f"second with such a process on each of the {results.machine.cores} cores "
        "(`python -m perf.measurements.speed`; `perf/croppers.py` says how each tool is set). "
        f"Served: the median of lone requests, and photos a second with {IN_FLIGHT} in flight; "
        "the window, 0.2 ms, comes after.\n\n"
    )
    for megapixels in results.speeds:
        text += f"Photos of {megapixels:g} MP:\n\n{speed.markdown(results.tools(megapixels))}\n"
    return text


def _quality(gaps: Gaps, plot: str | None) -> str:
    if not gaps or not plot:
        return "docs/croppers.json is not there, so quality is not shown.\n"
    tools = {tool: None for of_set in gaps.values() for tool in of_set}
    rows = [(tool, *(of_set.get(tool) for of_set in gaps.values())) for tool in tools]
    return (
        "How well the same tools crop, from a centred crop (0) to the best possible (1), as "
        "`python -m perf.measurements.quality` measured it:\n\n"
        f"{table(('gap closed', *gaps), rows)}\n"
        f"![Quality over cost]({plot})\n"
    )


def _growth(results: Results) -> str:
    return (
        f"Photos of {growth.MEGAPIXELS} MP a second with {growth.LOAD} requests in flight, by "
        "instances of the models (`python -m perf.measurements.growth`):\n\n"
        f"{growth.instances_markdown(results.instances)}\n"
        f"Private memory of the server's processes over requests for {growth.MEMORY_MEGAPIXELS} "
        f"MP:\n\n{growth.memory_markdown(results.endurance)}"
    )


def _soak(measured: soak.Soak | None) -> str:
    if measured is None:
        return "Not measured: `make soak` takes half an hour.\n"
    plan = measured.plan
    return (
        f"{measured.seconds / 60:.0f} minutes of photos of {soak.MEGAPIXELS} MP at random times, "
        f"at {plan.share:.0%} of what the server sustains, {plan.hostile:.0%} of them hostile "
        "files, through the public client on the same cores; each minute a process of the server "
        "was killed at random. Every answer was compared with the one before the kills. Measured "
        "by `make soak` (`python -m perf.measurements.soak`) into [soak.json](soak.json), on\n"
        f"\n{measured.machine.markdown()}\n{soak.markdown(measured)}"
    )
