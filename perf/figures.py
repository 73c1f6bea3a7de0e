"""Write the figures in the documents anew, from the files that the measurements left.

    python -m perf.figures [--check]

A document holds each of its tables between `<!-- figures: NAME -->` and `<!-- end -->`, and what
stands between is replaced; NAME is one of `TABLES`. Quality comes from docs/*.json (`python -m
training.evaluation.evaluate`, `perf.measurements.quality`, `training.experiments.criteria`), speed
from perf/report.json (`python -m perf.report`), what float16 loses from export/accuracy.json
(`python -m export.accuracy`). With --check nothing is written, and the exit status is 1 where a
document differs from its sources.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from perf.croppers import FACE, TWITTER
from perf.instruments.tables import number
from perf.measurements.speed import Speed
from perf.report import results
from perf.report.results import IN_FLIGHT, TWITTERS, Results
from training.evaluation.tables import rows_markdown

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "MODEL_CARD.md",
    "deploy/README.md",
    "docs/integrity.md",
    "export/README.md",
)
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

GAZECROP, INTEGERS = "gazecrop", "gazecrop, 8 bits"
PREDICTORS = (
    GAZECROP,
    INTEGERS,
    TWITTERS,
    "Glimpse",
    "centre prior",
    "half of the viewers",
)
CROPPERS = {  # row of docs/croppers.json → what the documents call it
    "gazecrop": GAZECROP,
    "centre": "centred crop",
    FACE: "largest face, else centre",
    "OpenCV saliency": "OpenCV saliency (spectral residual)",
    "libvips entropy": "libvips entropy",
    TWITTER: TWITTER,
    "smartcrop.py": "smartcrop.py",
    "libvips attention": "libvips attention (sharp's)",
    "best possible": "best possible",
}
CRITERIA = {  # row of docs/criteria.json → what the documents call it
    "fisher per millisecond": "Fisher over time",
    "fisher per operation": "Fisher over operations",
    "fisher": "Fisher without cost",
    "l1": "L1 of the weights",
    "random": "random",
}
RATIOS = ("16:9", "1:1", "4:5", "1:2")
SMALL, LARGE, LARGEST = 0.3, 2.0, 12.0  # megapixels of the photos
AUDITED = (GAZECROP, TWITTERS)
CHANGED = ("attention", "more attention", "highest point")
SETS = {"osie": "OSIE", "scene": "Scene"}
PREDICTED = SETS | {"pascals": "PASCAL-S", "crowd": "EyeCrowd (crowds; another laboratory's)"}

Table: TypeAlias = Mapping[str, Mapping[str, Any]]  # by row, then by column


def rewritten(document: str) -> str:
    """The text of a document with its figures as the sources have them.

    Raises:
        ValueError: it asks for figures that nobody writes, or the sources lack a row or column.
    """

    def replaced(block: re.Match[str]) -> str:
        start, name, _, end = block.groups()
        if name not in TABLES:
            raise ValueError(f"there are no figures {name!r}, only {', '.join(TABLES)}")
        try:
            return f"{start}{TABLES[name]()}{end}"
        except KeyError as error:
            raise ValueError(f"the figures {name!r} need {error}, which was not measured") from None

    return BLOCK.sub(replaced, document)


def croppers() -> str:
    """What each cropper's windows keep of people's fixations."""
    osie, scene = (_rows("croppers.json", name) for name in SETS)
    return _table(
        ("", "gap closed", *(f"kept: {ratio}" for ratio in RATIOS), "Scene: gap closed"),
        (
            (
                label,
                _interval(osie[row]["gap closed"]),
                *(f"{osie[row][f'kept {ratio}']['mean']:.3f}" for ratio in RATIOS),
                _interval(scene[row]["gap closed"]),
            )
            for row, label in CROPPERS.items()
        ),
    )


def cut_heads() -> str:
    """What each cropper cuts of the heads in photos of crowds, beside the gap that it closes."""
    ratios = [f"photos with a cut head {ratio}" for ratio in RATIOS]
    others = ("tall heads cut", "heads kept whole", "few heads cut")
    rows = _rows("croppers.json", "crowd")
    return _table(
        (
            "",
            "gap closed",
            "photos with a cut head",
            ", ".join(RATIOS),
            "heads of 10 % of the height cut",
            "heads kept whole",
            "heads cut where there are five at most",
        ),
        (
            (
                label,
                _interval(rows[row]["gap closed"]),
                _percent(rows[row]["photos with a cut head"]),
                ", ".join(f"{rows[row][ratio]['mean']:.0%}" for ratio in ratios),
                *(_percent(rows[row][column]) for column in others),
            )
            for row, label in CROPPERS.items()
        ),
    )


def cut_lines() -> str:
    """What each cropper cuts of lines of text, in the photos that have any."""
    measured = _measured("croppers.json")["pascals"]
    columns = ("photos with a cut line", "lines cut", "lines kept whole")
    return f"{measured['with']['line']} of {measured['photos']} photos:\n\n" + _table(
        ("", *columns),
        (
            (label, *(_percent(measured["rows"][row][column]) for column in columns))
            for row, label in CROPPERS.items()
        ),
    )


def quality(*columns: str) -> str:
    """How well networks predict fixations, a table for each set."""
    return "\n".join(
        f"**{label}**, {_measured('evaluation.json')[name]['photos']} photos\n\n"
        + _table(
            ("", *columns),
            (
                (row, *(_interval(_rows("evaluation.json", name)[row][key]) for key in columns))
                for row in PREDICTORS
            ),
        )
        for name, label in PREDICTED.items()
    )


def criteria() -> str:
    """Validation losses by the criterion of pruning."""
    rows = _measured("criteria.json")
    return _table(
        ("criterion", "GMAC", "while pruning", "fine-tuned"),
        [
            (
                "before pruning",
                f"{rows['distilled']['gmac']:.3f}",
                "–",
                f"{rows['distilled']['loss']:.3f}",
            ),
            *(
                (
                    label,
                    f"{rows[row]['gmac']:.3f}",
                    *(f"{rows[row][loss]:.3f}" for loss in ("pruned loss", "loss")),
                )
                for row, label in CRITERIA.items()
            ),
        ],
    )


def serving() -> str:
    """What a server reaches, and where that was measured."""
    speed = _speed()
    where = (
        f"On {speed.machine.cores} cores of {speed.machine.processor}, shared with the client and "
        "the load generator, and of one run (`make perf` writes [perf/report.md](perf/report.md)). "
        "A server over gRPC:\n\n"
    )
    sizes, overload = (SMALL, LARGE, LARGEST), speed.overload
    lone = {size: speed.point(size, 1).figures for size in sizes}
    busy = {size: speed.point(size, IN_FLIGHT).figures for size in sizes}
    times = overload.offered / overload.sustained
    after = f"{overload.accepted_p50:.0f} ms; {overload.accepted_p99:.0f} ms"
    rows = [
        *((f"a lone photo of {size:g} MP", f"{number(lone[size].p50)} ms") for size in sizes),
        *(
            (
                f"photos of {size:g} MP, {IN_FLIGHT} in flight",
                f"{number(busy[size].rate)} a second",
            )
            for size in sizes
        ),
        (
            f"asked for {times:.1f} times what it sustains, it answers",
            f"{overload.share:.0%} of that",
        ),
        ("… these after (median; 99th percentile)", after),
        ("… and refuses the rest after (median)", f"{number(overload.refused_p50)} ms"),
    ]
    return where + _table(("", ""), rows)


def cost() -> str:
    """What one photo costs the shipped student."""
    from training.evaluation.evaluate import CHECKPOINT
    from training.networks import student
    from training.networks.cost import macs

    network = student.load(CHECKPOINT)
    parameters = sum(weights.numel() for weights in network.parameters())
    return (
        f"The shipped student costs {macs(network.sizes) / 1e9:.3f} GMAC a photo and has "
        f"{parameters:,} parameters; Twitter's network costs {TWITTERS_GMAC} GMAC.\n"
    )


def networks() -> str:
    """The network beside Twitter's, on one thread."""
    rows = []
    for engine, taken in _speed().networks.items():
        fp32, integers, twitters = taken.values()
        times = (f"{number(milliseconds)} ms" for milliseconds in taken.values())
        rows.append((engine, *times, _times(twitters, fp32), _times(twitters, integers)))
    columns = ("engine", "gazecrop, fp32", INTEGERS, TWITTERS)
    return _table((*columns, "speed-up in fp32", "speed-up in 8 bits"), rows)


def tools() -> str:
    """Croppers in process."""
    small, large = (_speed().speeds[size] for size in (SMALL, LARGE))

    def cells(tool: str, tools: Mapping[str, Speed]) -> tuple[str, str]:
        return number(tools[tool].rate), _times(tools[GAZECROP].rate, tools[tool].rate)

    return _table(
        (
            "photos a second",
            *(f"{SMALL:g} MP", "gazecrop's speed-up"),
            *(f"{LARGE:g} MP", "gazecrop's speed-up"),
        ),
        ((tool, *cells(tool, small), *cells(tool, large)) for tool in small),
    )


def capacity() -> str:
    """Milliseconds of a core for a photo, and the cores and GPUs for many."""
    speed = _speed()

    def slowed(megapixels: float) -> float:
        """How much slower the steps are when all cores are busy."""
        bound = speed.bound(megapixels)
        return 1000 * speed.machine.cores / bound.rate / bound.together

    decoding, decoding_small, decoding_largest = (
        speed.bound(size).preprocess * slowed(size) for size in (LARGE, SMALL, LARGEST)
    )
    network = speed.bound(LARGE).network * slowed(LARGE)
    serving = speed.bound(LARGE).rate / speed.point(LARGE, IN_FLIGHT).figures.rate
    text = (
        f"where, per photo, as measured on {speed.machine.cores} busy cores of "
        f"{speed.machine.processor} ([`perf/report.md`](../perf/report.md)),\n\n"
        f"- *D* = {decoding:.1f} ms of one core to decode and shrink ({LARGE:g} MP; "
        f"{decoding_small:.1f} for {SMALL:g} MP, {decoding_largest:.0f} for {LARGEST:g} MP),\n"
        f"- *N* = {network:.1f} ms of one core for the network as it is served,\n"
        f"- *S* = {serving:.2f} for serving itself, and for the load generator that shared these "
        "cores,\n- *G* photos per second that one GPU's network takes: not measured ◇, so the "
        "table keeps it.\n\n"
    )
    rows = []
    for uploads in (1_000, 10_000, 100_000):
        cpu_only, beside_gpus = (
            _two_digits(serving * uploads * ms / 1000 / UTILISATION)
            for ms in (decoding + network, decoding)
        )
        gpus, traffic = _two_digits(uploads / UTILISATION), _two_digits(uploads * UPLOAD * 8 / 1e6)
        rows.append((f"{uploads:,}", cpu_only, beside_gpus, f"{gpus} / G", f"{traffic} Gbit/s"))
    columns = ("uploads per second", "CPU only, cores", "with GPUs: cores", "GPUs")
    return text + _table((*columns, f"traffic in, at {UPLOAD} kB a photo"), rows)


def audit() -> str:
    """What mirror images, places and changes of a head do to attention and windows."""
    told = _measured("audit.json")
    tables = [
        (
            f"**Mirror images** of {told['photos']} photos",
            ("attention that moves", "left half", "mass 1:1: IoU", "point 1:1: IoU"),
            {model: told["mirror"][model] for model in AUDITED},
        ),
        (
            "**Three equal heads in a row**: shares of the attention, and of the highest points",
            tuple(told["row"][GAZECROP]),
            {model: told["row"][model] for model in AUDITED},
        ),
        (
            "**A head beside itself**, changed",
            (*CHANGED, "mass 1:1 kept: difference", "point 1:1 kept: difference"),
            {
                f"{change}, {model}": rows[model]
                for change, rows in told["changes"].items()
                for model in AUDITED
            },
        ),
    ]
    return "\n".join(
        f"{title}\n\n"
        + _table(
            ("", *columns),
            ((name, *(_interval(row[column]) for column in columns)) for name, row in rows.items()),
        )
        for title, columns, rows in tables
    )


def float16() -> str:
    """What float16 changes, by set."""
    sets = json.loads((ROOT / "export" / "accuracy.json").read_text("utf-8"))["sets"]
    columns = ("set", "photos", "moved, mean", "moved, most", "measure", "float32", "float16")
    rows = []
    for name, row in sets.items():
        moved = [f"{row[column]:.2%}" for column in columns[2:4]]
        agreement = [f"{row[column]:.3f}" for column in columns[5:]]
        rows.append((name, str(row["photos"]), *moved, row["measure"], *agreement))
    return _table(columns, rows)


TWITTERS_GMAC = 2.44  # of its released graph, for a photo of 4:3
UTILISATION = 0.6  # what the autoscaler aims at
UPLOAD = 540  # kB, a photo of 2 MP

TABLES: dict[str, Callable[[], str]] = {
    "croppers": croppers,
    "cut-heads": cut_heads,
    "cut-lines": cut_lines,
    "quality": lambda: quality("NSS", "CC", "gap closed"),
    "all-quality": lambda: quality("NSS", "sAUC", "CC", "KLD", "gap closed"),
    "criteria": criteria,
    "serving": serving,
    "cost": cost,
    "networks": networks,
    "tools": tools,
    "capacity": capacity,
    "audit": audit,
    "float16": float16,
}


@cache
def _measured(file: str) -> Any:
    return json.loads((ROOT / "docs" / file).read_text("utf-8"))


def _rows(file: str, fixation_set: str) -> Table:
    rows: Table = _measured(file)[fixation_set]["rows"]
    return rows


@cache
def _speed() -> Results:
    return results.read(ROOT / "perf" / "report.json")


def _interval(value: Mapping[str, float]) -> str:
    """Of a row that is 0 or 1 by definition there is nothing to estimate."""
    if value["low"] == value["mean"] == value["high"]:
        return f"{value['mean']:.0f}"
    mean, low, high = (f"{round(value[key], 2) + 0.0:.2f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _percent(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.0%} [{value['low']:.0%}, {value['high']:.0%}]"


def _times(slow: float, fast: float) -> str:
    return f"{slow / fast:.1f}×"


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.{1 if value < 10 else 0}f}"


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return rows_markdown(list(columns), map(_bold, rows))


def _bold(row: Iterable[str]) -> list[str]:
    first, *rest = row
    return [f"**{first}**" if first == GAZECROP else first, *rest]


def main() -> int:
    parser = argparse.ArgumentParser(description="write the figures in the documents anew")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where they differ")
    check = parser.parse_args().check
    differing = 0
    for name in DOCUMENTS:
        file = ROOT / name
        text = file.read_text("utf-8")
        new = rewritten(text)
        if new == text:
            continue
        differing += 1
        print(f"{name}: the figures are old; run make figures" if check else f"wrote {name}")
        if not check:
            file.write_text(new, "utf-8")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
