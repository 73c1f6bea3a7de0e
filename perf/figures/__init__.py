"""Write the figures in the documents anew, from the files that the measurements left.

    python -m perf.figures [--check]

A document holds each of its tables between `<!-- figures: NAME -->` and `<!-- end -->`, and what
stands between is replaced; NAME is one of `TABLES`. Quality comes from docs/*.json (`python -m
training.evaluation.evaluate`, `perf.measurements.quality`, `training.experiments.criteria`), speed
from perf/report.json (`python -m perf.report`), what float16 loses from export/accuracy.json
(`python -m export.accuracy`). With --check nothing is written, and the exit status is 1 where a
document differs from its sources.
"""

import re
from collections.abc import Callable
from pathlib import Path

from perf.figures import quality, speed

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "MODEL_CARD.md",
    "deploy/README.md",
    "docs/integrity.md",
    "export/README.md",
)
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

TABLES: dict[str, Callable[[], str]] = {
    "croppers": quality.croppers,
    "cut-heads": quality.cut_heads,
    "cut-differences": quality.cut_differences,
    "cut-lines": quality.cut_lines,
    "quality": lambda: quality.quality("NSS", "CC", "gap closed"),
    "all-quality": lambda: quality.quality("NSS", "sAUC", "CC", "KLD", "gap closed"),
    "criteria": quality.criteria,
    "serving": speed.serving,
    "cost": speed.cost,
    "networks": speed.networks,
    "tools": speed.tools,
    "capacity": speed.capacity,
    "audit": quality.audit,
    "float16": quality.float16,
}


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
