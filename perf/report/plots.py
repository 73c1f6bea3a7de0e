"""The report's pictures."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from perf.croppers import GAZECROP
from perf.measurements.load import Point
from perf.report.results import SERVED, Results

SHADES = {"p50": "tab:green", "p95": "tab:orange", "p99": "tab:red"}


def draw_load(points: list[Point], file: Path) -> None:
    """Above, throughput against latency; below, where in the server the time went."""
    sizes = sorted({done.megapixels for done in points if done.load.concurrency != 1})
    figure, axes = plt.subplots(
        2, len(sizes), figsize=(4.2 * len(sizes), 7), layout="constrained", squeeze=False
    )
    for index, megapixels in enumerate(sizes):
        of_size = [done for done in points if done.megapixels == megapixels]
        closed = [done for done in of_size if done.load.concurrency]
        opened = [done for done in of_size if done.load.rate]
        _draw_latency(axes[0, index], closed, opened)
        _draw_split(axes[1, index], closed)
        dotted = " (dotted: requests at random times)" if opened else ""
        axes[0, index].set_title(f"{megapixels:g} MP{dotted}")
    axes[0, 0].set_ylabel("ms from request to answer")
    axes[0, 0].legend(loc="upper left")
    axes[1, 0].set_ylabel("mean ms in the server")
    axes[1, 0].legend(loc="upper left")
    _save(figure, file)


def _draw_latency(axes: Any, closed: list[Point], opened: list[Point]) -> None:
    for name, shade in SHADES.items():
        for points, line, label in ((closed, "o-", name), (opened, "x:", None)):
            rates = [done.figures.rate for done in points]
            latencies = [getattr(done.figures, name) for done in points]
            axes.plot(rates, latencies, line, color=shade, label=label, ms=5)
    for done in closed:
        axes.annotate(
            str(done.load),
            (done.figures.rate, done.figures.p50),
            (0, -12),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_yscale("log")
    axes.margins(y=0.12)
    _plain_numbers(axes.yaxis)
    axes.set_xlim(left=0)
    axes.set_xlabel("photos/s (numbers: requests in flight)")
    axes.grid(alpha=0.3, which="both")


def _draw_split(axes: Any, closed: list[Point]) -> None:
    labels = [str(done.load) for done in closed]
    parts = {"queue": [done.split.queue for done in closed]}
    for step in closed[0].split.steps:
        parts[step] = [done.split.steps[step].compute for done in closed]
    bottom = [0.0] * len(closed)
    for name, values in parts.items():
        axes.bar(labels, values, bottom=bottom, label=name)
        bottom = [below + value for below, value in zip(bottom, values, strict=True)]
    axes.set_xlabel("requests in flight")
    axes.grid(alpha=0.3, axis="y")


def draw_quality(
    megapixels: float, results: Results, gaps: Mapping[str, Mapping[str, float]], file: Path
) -> None:
    """Quality over cost on photos of one size, a panel for each fixation set, two in a row.

    Where gazecrop is served it crops as in process, at another cost.
    """
    # Names of neighbours stand above and below in turn, or they would cover each other.
    by_speed = sorted(results.tools(megapixels).items(), key=lambda item: item[1].rate)
    columns = min(2, len(gaps))
    rows = math.ceil(len(gaps) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.5 * columns, 4.6 * rows), layout="constrained", squeeze=False
    )
    for panel in axes.flat[len(gaps) :]:
        panel.axis("off")
    for panel, (name, of_set) in zip(axes.flat, gaps.items(), strict=False):
        for number, (tool, speed) in enumerate(by_speed):
            gap = of_set.get(GAZECROP if tool == SERVED else tool)
            if gap is not None:
                rate = speed.rate / results.machine.cores
                _draw_tool(panel, tool, rate, gap, above=number % 2 == 1)
        panel.axhline(0, color="grey", lw=1, ls="--")
        panel.set_title(name)
        panel.set_xscale("log")
        _plain_numbers(panel.xaxis)
        panel.margins(x=0.25, y=0.12)
        panel.set_xlabel(f"photos of {megapixels:g} MP a second and core")
        panel.grid(alpha=0.3, which="both")
    for panel in axes[:, 0]:
        panel.set_ylabel("gap closed: 0 a centred crop, 1 the best possible")
    _save(figure, file)


def _draw_tool(axes: Any, tool: str, rate: float, gap: float, above: bool) -> None:
    ours = tool in (GAZECROP, SERVED)
    shade = "tab:red" if ours else "tab:blue"
    axes.plot(rate, gap, "*" if ours else "o", color=shade, ms=15 if ours else 8)
    offset = (0, 10) if above else (0, -20)
    text = {"textcoords": "offset points", "ha": "center", "fontsize": 8.5}
    axes.annotate(tool, (rate, gap), offset, color=shade, **text)


def _plain_numbers(axis: Any) -> None:
    """1, 2, 5, 10 … along a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    plt.close(figure)
