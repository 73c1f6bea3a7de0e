import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.training.samples import Counted, brightness, nothing, write_set
from training.data.fixations import read_fixation_set, split
from training.evaluation import evaluate
from training.evaluation.evaluate import (
    CENTRE,
    CHECKPOINT,
    COLUMNS,
    HALF,
    Row,
    mean_nss,
    upright_size,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), photos=80, size=(160, 120))


@pytest.fixture(scope="module")
def table(folder: Path) -> dict[str, Row]:
    models = {"brightness": brightness, "nothing": nothing}
    return evaluate.evaluate(read_fixation_set(folder), models)


def test_a_row_for_each_model_and_two_to_compare_with(table: dict[str, Row]) -> None:
    assert list(table) == ["brightness", "nothing", CENTRE, HALF]
    assert all(tuple(row) == COLUMNS for row in table.values())


def test_intervals_bracket_the_mean(table: dict[str, Row]) -> None:
    for row in table.values():
        for interval in row.values():
            assert interval.low - 1e-9 <= interval.mean <= interval.high + 1e-9
    spread = table["brightness"]["NSS"]
    assert 0 < spread.high - spread.low < 2 * spread.mean


def test_means_are_over_validation_photos(folder: Path, table: dict[str, Row]) -> None:
    validation = split(read_fixation_set(folder))[1]
    assert table["brightness"]["NSS"].mean == pytest.approx(mean_nss(brightness, validation))


def test_good_predictors_score_well_and_empty_ones_nothing(table: dict[str, Row]) -> None:
    good, empty = table["brightness"], table["nothing"]
    for column in ("NSS", "AUC", "sAUC", "CC", "SIM", "IG", "gap closed"):
        assert good[column].mean > table[CENTRE][column].mean
    assert good["KLD"].mean < table[CENTRE]["KLD"].mean
    assert good["gap closed"].mean > 0.9
    means = [empty[column].mean for column in ("NSS", "AUC", "sAUC")]
    assert means == pytest.approx([0, 0.5, 0.5])
    assert empty["gap closed"].mean == pytest.approx(0)
    assert table[HALF]["NSS"].mean > 2


def test_each_photo_is_predicted_once(folder: Path) -> None:
    predictor = Counted()
    photos = read_fixation_set(folder)
    evaluate.evaluate(photos, {"counted": predictor})
    assert predictor.calls == len(split(photos)[1])


def test_photos_of_one_viewer_have_no_other_half(tmp_path: Path) -> None:
    folder = write_set(tmp_path, photos=20)
    lines = (folder / "fixations.csv").read_text().splitlines()
    alone = [lines[0], *(line for line in lines[1:] if line.split(",")[1] == "0")]
    (folder / "fixations.csv").write_text("\n".join(alone))
    table = evaluate.evaluate(read_fixation_set(folder), {"brightness": brightness})
    assert list(table) == ["brightness", CENTRE]


def test_a_set_without_validation_photos_is_refused(folder: Path) -> None:
    training, validation = split(read_fixation_set(folder))
    for photos in (training, validation):
        with pytest.raises(ValueError, match="too few"):
            evaluate.evaluate(photos, {"nothing": nothing})


def test_the_command_writes_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_set(tmp_path / "set")
    data = ["--data", str(folder)] * 2
    model = ["--model", f"ours={CHECKPOINT}"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *data, *model, "--out", str(tmp_path)])
    evaluate.main()
    written = (tmp_path / "evaluation.md").read_text("utf-8")
    assert written.count("| ours |") == 2
    assert written.count(f"| {HALF} |") == 2
    assert written.splitlines()[2] in capsys.readouterr().out
    rows = json.loads((tmp_path / "evaluation.json").read_text())[folder.name]["rows"]
    assert rows["ours"]["NSS"].keys() == {"mean", "low", "high"}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["ours"], "not NAME=FILE"),
        ([f"a={CHECKPOINT}", f"a={CHECKPOINT}"], "names of their own"),
        ([f"{CENTRE}={CHECKPOINT}"], "names of their own"),
    ],
)
def test_models_need_names(
    folder: Path,
    models: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [argument for model in models for argument in ("--model", model)]
    monkeypatch.setattr(sys, "argv", ["evaluate", "--data", str(folder), *arguments])
    with pytest.raises((SystemExit, ValueError)) as raised:
        evaluate.main()
    assert message in str(raised.value) + capsys.readouterr().err


def test_crops_that_cannot_be_better_have_no_gap(tmp_path: Path) -> None:
    """Squares have one square crop."""
    table = evaluate.evaluate(
        read_fixation_set(write_set(tmp_path, size=(60, 60), photos=30)), {"nothing": nothing}
    )
    assert np.isnan(table["nothing"]["gap 1:1"]).all()
    assert "| – |" in evaluate.markdown("squares", table, 6)
    assert evaluate.as_json(table)["nothing"]["gap 1:1"]["mean"] is None


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_of_the_decoded_photo(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert upright_size(path) == cv2.imread(str(path)).shape[1::-1]
