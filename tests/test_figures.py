"""The published figures are those of the network that ships."""

import json
from pathlib import Path

import pytest

from export.parity import MODEL
from training.evaluation.evaluate import CHECKPOINT
from training.files import digest

ROOT = Path(__file__).parents[1]
INTEGERS = MODEL.with_name("model.int8.onnx")
MEASURED = {  # source of figures → its key, the files measured, the command that measures anew
    "docs/evaluation.json": (
        "networks",
        {"gazecrop": CHECKPOINT, "gazecrop, 8 bits": INTEGERS},
        "python -m training.evaluation.evaluate --data … --model NAME=FILE … --out docs",
    ),
    "docs/croppers.json": (
        "networks",
        {"gazecrop": INTEGERS},
        "python -m perf.measurements.quality --data … --twitter … --out docs",
    ),
    "docs/tolerance.json": (
        "networks",
        {"gazecrop": INTEGERS},
        "python -m perf.measurements.tolerance --elsewhere …",
    ),
    "docs/audit.json": (
        "networks",
        {"gazecrop": CHECKPOINT},
        "python -m training.evaluation.symmetry PHOTOS --model NAME=FILE … --out docs/audit.json",
    ),
    "export/accuracy.json": (
        "networks",
        {"gazecrop": MODEL},
        "python -m export.accuracy --data … --elsewhere …",
    ),
    "perf/report.json": (
        "digests",
        {"student, fp32": MODEL, "student, int8": INTEGERS},
        "make perf TWITTER=…",
    ),
}


@pytest.mark.parametrize("source", MEASURED)
def test_figures_are_of_the_shipped_network(source: str) -> None:
    key, files, command = MEASURED[source]
    told = json.loads((ROOT / source).read_text("utf-8"))[key]
    for name, file in files.items():
        assert told[name] == digest(file), (
            f"{source} was measured with another network than {file.relative_to(ROOT)}. "
            f"Measure anew, then `make figures`: {command}"
        )
