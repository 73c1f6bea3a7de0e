import json
import sys
from pathlib import Path

import numpy as np
import pytest

from perf.croppers import ATTENTION, GAZECROP, Cropper, open_cropper
from perf.measurements import quality
from perf.measurements.quality import BEST, CENTRE, COLUMNS, compare, markdown, of_models
from tests.training.samples import Counted, brightness, nothing, write_set
from training.data.fixations import read_fixation_set, split
from training.evaluation.evaluate import CHECKPOINT, evaluate
from training.evaluation.retention import RATIOS, retention
from training.evaluation.tables import Row

TOOLS = (GAZECROP, ATTENTION)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), photos=60)


@pytest.fixture(scope="module")
def opened() -> dict[str, Cropper]:
    tools = {name: open_cropper(name) for name in TOOLS}
    return of_models({"brightness": brightness, "nothing": nothing}) | tools


@pytest.fixture(scope="module")
def table(folder: Path, opened: dict[str, Cropper]) -> dict[str, Row]:
    return compare(split(read_fixation_set(folder))[1], opened)


def test_rows_and_columns(table: dict[str, Row]) -> None:
    models = ("brightness", "brightness, densest point", "nothing", "nothing, densest point")
    assert tuple(table) == (*models, *TOOLS, CENTRE, BEST)
    assert all(tuple(row) == COLUMNS for row in table.values())


def test_a_model_scores_as_in_its_evaluation(folder: Path, table: dict[str, Row]) -> None:
    evaluated = evaluate(read_fixation_set(folder), {"brightness": brightness})["brightness"]
    shared = ("gap closed", *(f"gap {ratio}" for ratio in RATIOS))
    for column in shared:
        assert table["brightness"][column] == pytest.approx(evaluated[column])


def test_kept_is_the_mean_over_photos(folder: Path, table: dict[str, Row]) -> None:
    photos = split(read_fixation_set(folder))[1]
    for name, ratio in RATIOS.items():
        shares = [
            retention(brightness(photo.pixels()), (64, 48), photo.fixations, ratio)
            for photo in photos
        ]
        means = [table[row][f"kept {name}"].mean for row in ("brightness", CENTRE, BEST)]
        assert means == pytest.approx(np.mean(shares, axis=0))


def test_gaps_lie_between_the_centre_and_the_best(table: dict[str, Row]) -> None:
    assert table[CENTRE]["gap closed"] == pytest.approx((0, 0, 0))
    assert table[BEST]["gap closed"] == pytest.approx((1, 1, 1))
    assert table["nothing"]["gap closed"] == pytest.approx((0, 0, 0))
    for name in ("brightness", "brightness, densest point"):
        assert 0.5 < table[name]["gap closed"].mean <= 1
    for row in table.values():
        assert all(i.low - 1e-9 <= i.mean <= i.high + 1e-9 for i in row.values())


def test_each_photo_is_predicted_once(folder: Path) -> None:
    predictor, photos = Counted(), split(read_fixation_set(folder))[1]
    compare(photos, of_models({"counted": predictor}))
    assert predictor.calls == len(photos)


def test_crops_that_cannot_be_better_have_no_gap(tmp_path: Path) -> None:
    """Squares have one square crop."""
    photos = split(read_fixation_set(write_set(tmp_path, size=(60, 60), photos=20)))[1]
    table = compare(photos, {})
    assert np.isnan(table[CENTRE]["gap 1:1"]).all()
    row = markdown("squares", table, len(photos)).splitlines()[4]
    assert row.startswith(f"| {CENTRE} | – |")


@pytest.mark.parametrize("name", [CENTRE, BEST, GAZECROP, "nothing, densest point"])
def test_models_need_names_of_their_own(name: str) -> None:
    with pytest.raises(ValueError, match="names of their own"):
        of_models({"nothing": nothing, name: nothing})


def test_no_photo_to_validate_on_is_refused(opened: dict[str, Cropper]) -> None:
    with pytest.raises(ValueError, match="no photo"):
        compare([], opened)


def test_the_command_writes_the_tables(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_set(tmp_path / "set", photos=12)
    data = ["--data", str(folder)] * 2
    model = ["--model", f"ours={CHECKPOINT}"]
    monkeypatch.setattr(sys, "argv", ["quality", *data, *model, "--out", str(tmp_path)])
    quality.main()
    written = (tmp_path / "croppers.md").read_text("utf-8")
    assert written.count("| ours |") == written.count(f"| {BEST} |") == 2
    assert written.splitlines()[2] in capsys.readouterr().out
    rows = json.loads((tmp_path / "croppers.json").read_text("utf-8"))[folder.name]["rows"]
    assert rows["ours, densest point"]["gap closed"].keys() == {"mean", "low", "high"}
    assert tuple(rows["ours"]) == COLUMNS
    assert {GAZECROP, ATTENTION} < rows.keys()
