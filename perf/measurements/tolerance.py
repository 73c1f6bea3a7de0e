"""What a tolerance costs and spares: the gap closed over photos with a cut head.

    python -m perf.measurements.tolerance --elsewhere SET [--out docs]

measures gazecrop's windows at each of `TOLERANCES` on all photos of a fixation set whose heads are
labelled, and draws them into tolerance.png of --out, beside the other croppers as croppers.json
there has them (`perf.measurements.quality`). The figures go to tolerance.json.

It needs `pip install --editable '.[perf,training]'`.
"""

import argparse
import json
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from gazecrop import CropOptions, Rect, Saliency

from perf.croppers import ATTENTION, ENTROPY, FACE, GAZECROP, SMARTCROP, SPECTRAL, TWITTER, Cropper
from perf.instruments.served import InProcess, network_file
from perf.measurements.quality import BEST, CENTRE, CLOSED, compare
from training.data.fixations import read_fixation_set
from training.evaluation.cuts import read_things
from training.evaluation.tables import as_json
from training.files import digest

TOLERANCES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05)
DEFAULT = "default"  # the row of windows whose tolerance nobody names
PEERS = (TWITTER, SMARTCROP, ATTENTION, ENTROPY, SPECTRAL, FACE)
CUT = "photos with a cut head"

Point: TypeAlias = tuple[float, float]


def croppers() -> dict[str, Cropper]:
    """gazecrop at each tolerance, by its number; a photo is predicted once for all of them."""
    steps = InProcess()

    @lru_cache(maxsize=1)
    def predicted(upload: bytes) -> Saliency:
        return Saliency(*steps.predict(upload))

    def crop(tolerance: float | None, upload: bytes, ratio: float) -> Rect:
        options: CropOptions = {} if tolerance is None else {"tolerance": tolerance}
        return predicted(upload).crop(ratio, **options).rect

    numbered = {f"{tolerance:g}": partial(crop, tolerance) for tolerance in TOLERANCES}
    return {**numbered, DEFAULT: partial(crop, None)}


def draw(points: Mapping[str, Point], peers: Mapping[str, Point], out: Path) -> None:
    """Photos with a cut head, in %, and gap closed: beside other croppers, and by tolerance.

    Args:
        points: of the rows of `croppers`.
        peers: of other croppers.
    """
    figure, (beside, alone) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    curve = [point for name, point in points.items() if name != DEFAULT]
    for axes in (beside, alone):
        axes.plot(*zip(*curve, strict=True), "k.-", label=f"{GAZECROP}, by tolerance")
        axes.plot(*points[DEFAULT], "o", ms=9, color="#e6194b", label="its default")
        axes.set_xlabel("photos with a cut head, % (mean of four shapes)")
        axes.grid(alpha=0.3)
    for name, point in peers.items():
        beside.plot(*point, "s", ms=6, color="#0a84ff")
        beside.annotate(name, point, (7, -3), textcoords="offset points", fontsize=9)
    for name, point in points.items():
        if name != DEFAULT:
            alone.annotate(name, point, (-2, 8), textcoords="offset points", fontsize=9, ha="right")
    beside.set_ylabel("gap closed")
    beside.margins(x=0.25)
    alone.margins(x=0.08, y=0.1)
    alone.legend(loc="lower right")
    figure.savefig(out, dpi=110)


def point(row: Mapping[str, Mapping[str, Any]]) -> Point:
    """Of a row of croppers.json or the like."""
    return 100 * row[CUT]["mean"], row[CLOSED]["mean"]


def main() -> None:
    parser = argparse.ArgumentParser(description="draw what a tolerance costs and spares")
    parser.add_argument("--elsewhere", type=Path, required=True, help="a set with labelled heads")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where croppers.json is")
    args = parser.parse_args()
    photos, things = read_fixation_set(args.elsewhere), read_things(args.elsewhere)
    if "head" not in things:
        parser.error(f"{args.elsewhere} has no table of heads")
    rows = compare(photos, croppers(), things)
    measured = as_json({name: row for name, row in rows.items() if name != BEST})
    told = json.loads((args.out / "croppers.json").read_text("utf-8"))[args.elsewhere.name]["rows"]
    peers = {name: point(told[name]) for name in PEERS if name in told}
    peers["centred crop"] = point(measured.pop(CENTRE))
    points = {name: point(row) for name, row in measured.items()}
    draw(points, peers, args.out / "tolerance.png")
    networks = {GAZECROP: digest(network_file())}
    numbers = {"photos": len(photos), "networks": networks, "rows": measured}
    (args.out / "tolerance.json").write_text(json.dumps(numbers, indent=2) + "\n", "utf-8")
    for name, (cut, closed) in points.items():
        print(f"{name}: {CLOSED} {closed:.3f}, {CUT} {cut:.1f} %")


if __name__ == "__main__":
    main()
