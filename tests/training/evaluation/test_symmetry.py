import json
import subprocess
import sys
from pathlib import Path

import cv2
import gazecrop
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.training.samples import brightness
from training.evaluation import symmetry
from training.evaluation.changes import CHANGES, head_mask, skin_mask, toned
from training.evaluation.largest_heads import with_largest_head
from training.evaluation.portraits import Portrait
from training.evaluation.symmetry import MIRROR, ROW

HEAD = np.array([165.0, 0, 285, 160])  # of scikit-image's astronaut


@pytest.fixture(scope="module")
def portrait(astronaut: NDArray[np.uint8]) -> Portrait:
    return Portrait(astronaut, HEAD)


def looks_left(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    density = np.zeros((4, 8), np.float32)
    density[:, 1] = 0.25
    return density


def write_photos(folder: Path, astronaut: NDArray[np.uint8]) -> Path:
    (folder / "images").mkdir(parents=True)
    rows = ["image,left,top,width,height"]
    for number in range(2):
        pixels = np.ascontiguousarray(astronaut[:, number * 20 :])
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        rows += [f"{number}.png,{165 - 20 * number},-5,120,165", f"{number}.png,10,10,20,20"]
    (folder / "heads.csv").write_text("\n".join(rows))
    return folder


def test_a_predictor_that_heeds_the_pixels_alone_is_symmetric(astronaut: NDArray[np.uint8]) -> None:
    told = dict(zip(MIRROR, symmetry.mirror_values(brightness, astronaut), strict=True))
    assert told["attention that moves"] == pytest.approx(0, abs=1e-6)
    assert told["left half"] == pytest.approx(0.5, abs=1e-6)
    assert told["mass 1:2: IoU"] > 0.98  # the middle may lie half a pixel aside


def test_a_predictor_that_looks_left_is_found_out(astronaut: NDArray[np.uint8]) -> None:
    told = dict(zip(MIRROR, symmetry.mirror_values(looks_left, astronaut), strict=True))
    assert told["attention that moves"] == pytest.approx(1)
    assert told["left half"] == pytest.approx(1)
    assert told["point 1:2: IoU"] < 0.2


@pytest.mark.parametrize(("mirror_left", "overlap"), [(60, 1.0), (35, 1 / 3), (10, 0.0)])
def test_windows_are_mirrored_back(mirror_left: int, overlap: float) -> None:
    rect, mirror = gazecrop.Rect(10, 0, 50, 80), gazecrop.Rect(mirror_left, 0, 50, 80)
    assert symmetry.mirror_overlap(rect, mirror, 120) == pytest.approx(overlap)


def test_three_equal_heads_share_alike_unless_the_place_matters(portrait: Portrait) -> None:
    even = dict(zip(ROW, symmetry.row_values(brightness, portrait), strict=True))
    assert [even[f"attention: {place}"] for place in symmetry.PLACES] == pytest.approx([1 / 3] * 3)
    left = dict(zip(ROW, symmetry.row_values(looks_left, portrait), strict=True))
    assert left["highest point: left"] == 1
    assert left["highest point: right"] == 0


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_stays_within_the_head(portrait: Portrait, name: str) -> None:
    changed = CHANGES[name](portrait)
    assert changed.pixels.shape == portrait.pixels.shape
    outside = head_mask(portrait) == 0
    assert (changed.pixels[outside] == portrait.pixels[outside]).all()
    difference = np.abs(changed.pixels.astype(int) - portrait.pixels)[~outside]
    assert difference.mean() > 1.5
    assert (portrait.head == changed.head).all()


def test_skin_changes_and_dark_hair_does_not() -> None:
    pixels = np.full((120, 100, 3), (220, 180, 150), np.uint8)
    pixels[:40] = (40, 30, 20)
    portrait = Portrait(pixels, np.array([10.0, 10, 90, 110]))
    mask = skin_mask(portrait)
    assert mask[50:80, 35:65].min() > 0.9
    assert mask[:36].max() < 0.05
    lightness = [
        cv2.cvtColor(p.pixels, cv2.COLOR_RGB2LAB)[65, 50, 0] / 2.55
        for p in (toned(portrait, -15), portrait, toned(portrait, 15))
    ]
    assert np.diff(lightness) == pytest.approx([15, 15], abs=1.5)


def test_light_doubles_where_it_is_not_white(portrait: Portrait) -> None:
    def light(p: Portrait) -> float:
        return float(((p.pixels[60:80, 215:235] / 255) ** 2.2).mean())

    half, twice = CHANGES["half the light"](portrait), CHANGES["twice the light"](portrait)
    assert light(half) == pytest.approx(light(portrait) / 2, rel=0.05)
    assert light(twice) > 1.3 * light(portrait)


def test_a_cut_out_shows_the_same_head(portrait: Portrait) -> None:
    part = symmetry.cut_out(portrait)
    left, top, right, bottom = part.head.astype(int)
    expected = portrait.pixels[0:160, 165:285]
    assert (part.pixels[top:bottom, left:right] == expected).all()
    assert part.pixels.shape == (240, 240, 3)


def test_the_largest_head_counts_and_is_inside(
    tmp_path: Path, astronaut: NDArray[np.uint8]
) -> None:
    found = list(with_largest_head(write_photos(tmp_path, astronaut)))
    assert [path.name for path, _ in found] == ["0.png", "1.png"]
    assert [p.head.tolist() for _, p in found if p] == [[165, 0, 285, 160], [145, 0, 265, 160]]


def test_the_command_writes_all_of_it(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    photos, out = write_photos(tmp_path / "photos", astronaut), tmp_path / "audit.json"
    command = [sys.executable, "-m", "training.evaluation.symmetry", str(photos), "--out", str(out)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(out.read_text())
    assert told["photos"] == 2
    assert set(told["changes"]) == set(CHANGES)
    assert set(told["mirror"]["gazecrop"]) == set(MIRROR)
    shares = [told["row"]["gazecrop"][f"attention: {place}"]["mean"] for place in symmetry.PLACES]
    assert sum(shares) == pytest.approx(1)


def test_photos_without_heads_are_an_error(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    write_photos(tmp_path, astronaut)
    (tmp_path / "heads.csv").write_text("image,left,top,width,height\n")
    with pytest.raises(ValueError, match="0 heads of 64 pixels"):
        symmetry.read_photos(tmp_path, 10)
