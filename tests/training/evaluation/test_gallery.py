import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gazecrop import Rect
from PIL import Image

from tests.training.samples import brightness, nothing, write_map_set, write_set
from training.data.fixations import read_fixation_set, split
from training.data.maps import read_map_set
from training.evaluation import gallery
from training.evaluation.evaluate import CHECKPOINT
from training.evaluation.metrics import cc, nss, on_photo
from training.evaluation.retention import RATIOS, mass_window


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), photos=30, size=(160, 120))


def test_a_row_shows_the_photo_the_humans_and_two_panels_for_each_model(folder: Path) -> None:
    photo = read_fixation_set(folder)[0]
    row = gallery.row(photo, {"brightness": brightness, "nothing": nothing})
    titles = [" ".join(panel.title) for panel in row.panels]
    expected = nss(on_photo(brightness(photo.pixels()), 160, 120), photo.fixations)
    assert titles == [
        "0.png",
        "3 viewers",
        f"brightness: NSS {expected:.2f}",
        "crops 16:9 1:1 4:5",
        "nothing: NSS 0.00",
        "crops 16:9 1:1 4:5",
    ]
    assert row.nss == pytest.approx(expected)
    assert {panel.picture.size for panel in row.panels} == {(320, 240)}


def test_fixations_are_dots_where_people_looked() -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    picture = np.asarray(
        gallery.with_fixations(pixels, np.array([[40, 30], [120, 90]], np.float32))
    )
    red = np.argwhere((picture == (255, 45, 45)).all(axis=2))
    assert np.abs(red[:, None] - [[60, 80], [180, 240]]).max(axis=2).min(axis=1).max() <= 2


def test_maps_are_hottest_where_they_are_highest() -> None:
    saliency_map = np.zeros((120, 160), np.float32)
    saliency_map[:, 80:] = 1
    picture = np.asarray(gallery.heat(np.full((120, 160, 3), 128, np.uint8), saliency_map)).astype(
        int
    )
    warmth = picture[:, :, 0] - picture[:, :, 2]
    assert warmth[:, 180:].min() > warmth[:, :140].max()


def test_frames_are_the_crops_of_the_density() -> None:
    density = np.zeros((4, 4), np.float32)
    density[3, 3] = 1
    windows = [mass_window(density, (640, 480), RATIOS[ratio]) for ratio in gallery.FRAMES]
    picture = np.asarray(gallery.with_frames(np.zeros((480, 640, 3), np.uint8), windows))
    top, left = windows[0].top // 2, windows[0].left // 2
    assert (picture[top : top + 3, left + 20 : left + 70] == (0xE6, 0x19, 0x4B)).all()


def test_boxes_of_heads_that_are_cut_are_white() -> None:
    heads = np.array([[10, 10, 40, 40], [80, 10, 40, 40]], float)
    photo = np.zeros((100, 200, 3), np.uint8)
    picture = gallery.with_heads(photo, heads, [Rect(0, 0, 100, 100)])
    assert picture[10, 30].tolist() == [128] * 3
    assert picture[10, 100].tolist() == [255] * 3
    assert (gallery.with_heads(photo, None, []) == photo).all()


def test_the_worst_by_cuts_are_those_that_cut_most_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head along the whole side of one photo, which no narrow crop can spare."""
    set_ = write_set(tmp_path / "set", photos=6, size=(160, 120))
    (set_ / "heads.csv").write_text("image,left,top,width,height\n4.png,0,40,160,40\n")
    drawn: list[gallery.Row] = []
    monkeypatch.setattr(
        gallery, "gallery", lambda rows: drawn.extend(rows) or Image.new("L", (1, 1))
    )
    options = ["--model", f"ours={CHECKPOINT}", "--worst", "cuts", "--count", "2"]
    out = ["--out", str(tmp_path / "gallery.png")]
    monkeypatch.setattr(sys, "argv", ["gallery", "--elsewhere", str(set_), *options, *out])
    gallery.main()
    assert [row.cuts for row in drawn] == [2, 0]
    assert "4.png" in drawn[0].panels[0].title


def test_the_command_draws_the_worst_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[gallery.Row] = []
    whole = gallery.gallery

    def remembered(rows: list[gallery.Row]) -> Image.Image:
        drawn.extend(rows)
        return whole(rows)

    monkeypatch.setattr(gallery, "gallery", remembered)
    out = tmp_path / "gallery.png"
    photos = [
        "--data",
        str(folder),
        "--model",
        f"ours={CHECKPOINT}",
        "--worst",
        "nss",
        "--count",
        "3",
    ]
    monkeypatch.setattr(sys, "argv", ["gallery", *photos, "--out", str(out)])
    gallery.main()
    scores = [
        gallery.row(photo, gallery.open_models([("ours", CHECKPOINT)])).nss
        for photo in split(read_fixation_set(folder))[1]
    ]
    assert [row.nss for row in drawn] == pytest.approx(sorted(scores)[:3])
    with Image.open(out) as sheet:
        assert sheet.size == (4 * (320 + gallery.GAP), 3 * (240 + gallery.TITLE))


def test_photos_with_maps_alone_have_a_correlation(tmp_path: Path) -> None:
    photos = read_map_set(write_map_set(tmp_path / "maps"))
    rows = [gallery.row(photo, {"brightness": brightness}) for photo in photos]
    expected = [
        cc(on_photo(brightness(photo.pixels()), 160, 120), photo.human(160, 120))
        for photo in photos
    ]
    assert [row.cc for row in rows] == pytest.approx(expected)
    assert all(np.isnan(row.nss) for row in rows)
    assert f"brightness: CC {expected[0]:.2f}" in rows[0].panels[2].title
    assert [row.cc for row in gallery.worst(rows, "cc")] == sorted(row.cc for row in rows)


@pytest.mark.parametrize(("make", "problem"), [(Path.mkdir, "No such file"), (write_map_set, "cc")])
def test_a_folder_that_does_not_do_is_named(
    make: Callable[[Path], object],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "set")
    options = ["--model", f"ours={CHECKPOINT}", "--worst", "nss", "--out", "gallery.png"]
    monkeypatch.setattr(sys, "argv", ["gallery", "--elsewhere", str(tmp_path / "set"), *options])
    with pytest.raises(SystemExit):
        gallery.main()
    error = capsys.readouterr().err
    assert str(tmp_path / "set") in error
    assert problem in error
