import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from perf.croppers import GAZECROP, TWITTER
from perf.instruments.timing import cores
from perf.measurements.soak import results as soak
from perf.report import __main__ as report
from perf.report import results
from perf.report.findings import findings
from perf.report.text import markdown

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "perf" / "report.json"
PUBLISHED = results.read(FIGURES)


def test_the_published_texts_are_written_from_the_published_figures(tmp_path: Path) -> None:
    gaps = report.read_gaps()
    text = markdown(
        PUBLISHED, gaps, soak.read(), "../docs/load.png", "../docs/quality-over-cost.png"
    )
    assert (ROOT / "perf" / "report.md").read_text("utf-8") == text


def test_figures_survive_their_file(tmp_path: Path) -> None:
    results.write(PUBLISHED, tmp_path / "report.json")
    assert results.read(tmp_path / "report.json") == PUBLISHED


def test_other_figures_make_other_findings() -> None:
    speeds = {
        megapixels: tools | {GAZECROP: replace(tools[GAZECROP], rate=7 * tools[TWITTER].rate)}
        for megapixels, tools in PUBLISHED.speeds.items()
    }
    overloaded = replace(PUBLISHED.overload, sustained=100.0, goodput=97.0)
    text = "\n".join(findings(replace(PUBLISHED, speeds=speeds, overload=overloaded)))
    assert text.count(f"7.0× as many as {TWITTER}") == len(speeds)
    assert "answers 97% of the sustained 100 photos" in text


def test_busy_neighbours_and_missing_quality_are_told() -> None:
    text = markdown(PUBLISHED, {}, None, "load.png", None)
    assert "make soak" in text
    assert "quality is not shown" in text
    assert "Other programs" not in text
    busy = replace(PUBLISHED, neighbours=1.5)
    assert "up to 1.5 cores" in markdown(busy, {}, None, "load.png", None)


def test_a_rehearsal_measures_and_writes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["report", "--quick", "--out", str(tmp_path)])
    assert report.main() == 0
    measured = results.read(tmp_path / "report.json")
    assert measured.machine.cores == cores()
    assert measured.points[0].figures.rate > 1
    assert "## Growth" in (tmp_path / "report.md").read_text("utf-8")
    for name in ("load.png", "quality-over-cost.png"):
        with Image.open(tmp_path / name) as image:
            assert image.width > 400


def test_a_rehearsal_needs_a_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["report", "--quick"])
    with pytest.raises(SystemExit):
        report.main()
    assert "--out" in capsys.readouterr().err


def test_without_figures_there_is_nothing_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["report", "--write", "--out", str(tmp_path)])
    assert report.main() == 1
    assert "report.json" in capsys.readouterr().err
