"""Measure everything, and write it down.

    python -m perf.report [--twitter FILE.onnx]    measure, then write
    python -m perf.report --write                  write anew from the figures of the last run
    python -m perf.report --quick --out FOLDER     a rehearsal in seconds; its figures mean nothing

Measuring takes about ten minutes and wants the machine for itself. The figures go into
perf/report.json; perf/report.md, docs/load.png and docs/quality-over-cost.png are made from it,
from docs/croppers.json, which `perf.measurements.quality` has left, and from perf/soak.json, which
`perf.measurements.soak` has. --out names another folder for all of them.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from perf.croppers import names
from perf.instruments.analyzer import AnalyzerError
from perf.instruments.progress import Progress
from perf.instruments.serving import ServerError
from perf.measurements.load import OPEN_LOOP
from perf.measurements.soak import results as soak
from perf.report import results
from perf.report.plots import draw_load, draw_quality
from perf.report.results import QUICK, Plan, Results
from perf.report.text import Gaps, markdown

ROOT = Path(__file__).parents[2]
CROPPERS = ROOT / "docs" / "croppers.json"


def read_gaps(file: Path = CROPPERS) -> dict[str, dict[str, float]]:
    """By fixation set and tool: how far its crops come from a centred one (0) to the best (1).

    Empty where nothing was measured.
    """
    if not file.exists():
        return {}
    tools = names(twitter=Path())
    return {
        name: {
            tool: measured["rows"][tool]["gap closed"]["mean"]
            for tool in tools
            if tool in measured["rows"]
        }
        for name, measured in json.loads(file.read_text("utf-8")).items()
        if "rows" in measured
    }


def write(measured: Results, gaps: Gaps, texts: Path, pictures: Path) -> list[Path]:
    """Write the report and its pictures into two folders; the files written."""
    report, load = texts / "report.md", pictures / "load.png"
    quality = pictures / "quality-over-cost.png" if gaps else None
    draw_load(measured.points, load)
    if quality:
        draw_quality(OPEN_LOOP, measured, gaps, quality)
    load_link, quality_link = (
        Path(os.path.relpath(file, texts)).as_posix() if file else None for file in (load, quality)
    )
    report.write_text(markdown(measured, gaps, soak.read(), str(load_link), quality_link), "utf-8")
    return [report, load, *([quality] if quality else [])]


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m perf.report",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--twitter", type=Path, help="Twitter's network of 2018 as ONNX")
    parser.add_argument("--write", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true", help="needs --out")
    parser.add_argument("--out", type=Path, help="a folder for all that is written")
    args = parser.parse_args()
    if args.twitter and not args.twitter.is_file():
        parser.error(f"{args.twitter} does not exist")
    if args.quick and not args.out:
        parser.error("a rehearsal must not replace the report: name another folder with --out")
    return args


def main() -> int:
    args = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell made us ignore Ctrl-C
        signal.signal(number, _interrupt)
    texts, pictures = (args.out, args.out) if args.out else (ROOT / "perf", ROOT / "docs")
    texts.mkdir(parents=True, exist_ok=True)
    figures = texts / "report.json"
    try:
        if not args.write:
            plan = QUICK if args.quick else Plan()
            results.write(results.measure(plan, args.twitter, Progress()), figures)
        written = write(results.read(figures), read_gaps(), texts, pictures)
    except (AnalyzerError, ServerError, ImportError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print("wrote", *(os.path.relpath(file) for file in (figures, *written)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
