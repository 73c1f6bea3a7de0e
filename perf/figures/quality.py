"""What windows keep and cut, and how well networks predict: from docs/*.json and the like."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from perf.croppers import FACE, TWITTER
from perf.figures.cells import GAZECROP, INTEGERS, interval, percent, points, table
from perf.report.results import TWITTERS

ROOT = Path(__file__).parents[2]
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
AUDITED = (GAZECROP, TWITTERS)
CHANGED = ("attention", "more attention", "highest point")
SETS = {"osie": "OSIE", "scene": "Scene"}
PREDICTED = SETS | {"pascals": "PASCAL-S", "crowd": "EyeCrowd (crowds; another laboratory's)"}

Table: TypeAlias = Mapping[str, Mapping[str, Any]]  # by row, then by column


def croppers() -> str:
    """What each cropper's windows keep of people's fixations."""
    osie, scene = (_rows("croppers.json", name) for name in SETS)
    return table(
        ("", "gap closed", *(f"kept: {ratio}" for ratio in RATIOS), "Scene: gap closed"),
        (
            (
                label,
                interval(osie[row]["gap closed"]),
                *(f"{osie[row][f'kept {ratio}']['mean']:.3f}" for ratio in RATIOS),
                interval(scene[row]["gap closed"]),
            )
            for row, label in CROPPERS.items()
        ),
    )


def cut_heads() -> str:
    """What each cropper cuts of the heads in photos of crowds, beside the gap that it closes."""
    ratios = [f"photos with a cut head {ratio}" for ratio in RATIOS]
    others = ("tall heads cut", "heads kept whole", "few heads cut")
    rows = _rows("croppers.json", "crowd")
    return table(
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
                interval(rows[row]["gap closed"]),
                percent(rows[row]["photos with a cut head"]),
                ", ".join(f"{rows[row][ratio]['mean']:.0%}" for ratio in ratios),
                *(percent(rows[row][column]) for column in others),
            )
            for row, label in CROPPERS.items()
        ),
    )


def cut_differences() -> str:
    """What gazecrop cuts and keeps of heads, less what others do in the same photos."""
    rows = _rows("croppers.json", "crowd")
    columns = ("photos with a cut head", "heads kept whole")
    return table(
        ("gazecrop less …, of a hundred", *columns),
        (
            (label, *(points(rows[row][f"difference in {column}"]) for column in columns))
            for row, label in CROPPERS.items()
            if row != GAZECROP
        ),
    )


def cut_lines() -> str:
    """What each cropper cuts of lines of text, in the photos that have any."""
    measured = _measured("croppers.json")["pascals"]
    columns = ("photos with a cut line", "lines cut", "lines kept whole")
    return f"{measured['with']['line']} of {measured['photos']} photos:\n\n" + table(
        ("", *columns),
        (
            (label, *(percent(measured["rows"][row][column]) for column in columns))
            for row, label in CROPPERS.items()
        ),
    )


def quality(*columns: str) -> str:
    """How well networks predict fixations, a table for each set."""
    return "\n".join(
        f"**{label}**, {_measured('evaluation.json')[name]['photos']} photos\n\n"
        + table(
            ("", *columns),
            (
                (row, *(interval(_rows("evaluation.json", name)[row][key]) for key in columns))
                for row in PREDICTORS
            ),
        )
        for name, label in PREDICTED.items()
    )


def criteria() -> str:
    """Validation losses by the criterion of pruning."""
    rows = _measured("criteria.json")
    return table(
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
        + table(
            ("", *columns),
            ((name, *(interval(row[column]) for column in columns)) for name, row in rows.items()),
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
    return table(columns, rows)


@cache
def _measured(file: str) -> Any:
    return json.loads((ROOT / "docs" / file).read_text("utf-8"))


def _rows(file: str, fixation_set: str) -> Table:
    rows: Table = _measured(file)[fixation_set]["rows"]
    return rows
