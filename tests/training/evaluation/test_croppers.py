import json
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from tests.training.samples import Counted, brightness, nothing, write_set
from training.data.fixations import read_fixation_set, split
from training.evaluation import croppers
from training.evaluation.croppers import (
    ATTENTION,
    BEST,
    CENTRE,
    COLUMNS,
    ENTROPY,
    FACE,
    SMARTCROP,
    SPECTRAL,
    Cropper,
)
from training.evaluation.evaluate import CHECKPOINT, Row, evaluate
from training.evaluation.retention import RATIOS, Window, centre_window, largest_size, retention

CROPPERS = (FACE, SMARTCROP, SPECTRAL, ATTENTION, ENTROPY, CENTRE)
FACE_IN_ASTRONAUT = (slice(40, 190), slice(150, 300))  # rows, columns


@pytest.fixture(scope="module")
def opened() -> dict[str, Cropper]:
    return croppers.open_croppers()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), photos=60)


@pytest.fixture(scope="module")
def table(folder: Path, opened: dict[str, Cropper]) -> dict[str, Row]:
    models = {"brightness": brightness, "nothing": nothing}
    return croppers.compare(split(read_fixation_set(folder))[1], models, opened)


def with_object(
    size: tuple[int, int], left: int, top: int, thing: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A grey photo with one thing in it."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    pixels[top : top + thing.shape[0], left : left + thing.shape[1]] = thing
    return pixels


def stripes(side: int = 40) -> NDArray[np.uint8]:
    """A square of edges in saturated colours and, for smartcrop.py, of skin."""
    thing = np.full((side, side, 3), (230, 20, 20), np.uint8)
    thing[:, ::4] = thing[:, 1::4] = (225, 170, 130)
    return thing


@pytest.mark.parametrize("name", CROPPERS)
@pytest.mark.parametrize("size", [(301, 207), (207, 301), (240, 240), (320, 180)])
def test_windows_are_the_largest_of_their_ratio_and_lie_in_the_photo(
    name: str, size: tuple[int, int], opened: dict[str, Cropper], astronaut: NDArray[np.uint8]
) -> None:
    pixels = np.ascontiguousarray(astronaut[: size[1], : size[0]])
    for ratio in RATIOS.values():
        window = opened[name](pixels, ratio)
        assert (window.width, window.height) == largest_size(size, ratio)
        assert 0 <= window.left <= size[0] - window.width
        assert 0 <= window.top <= size[1] - window.height


@pytest.mark.parametrize("name", [SMARTCROP, SPECTRAL, ATTENTION, ENTROPY])
@pytest.mark.parametrize("offset", [40, 100, 190, 240])
@pytest.mark.parametrize("upright", [False, True])
def test_windows_hold_the_one_thing_in_a_photo(
    name: str, offset: int, upright: bool, opened: dict[str, Cropper]
) -> None:
    size, left, top = ((160, 320), 60, offset) if upright else ((320, 160), offset, 60)
    window = opened[name](with_object(size, left, top, stripes()), 1.0)
    assert window.left <= left + 8  # smartcrop.py looks at every eighth pixel
    assert left + 40 - 8 <= window.left + window.width
    assert window.top <= top + 8
    assert top + 40 - 8 <= window.top + window.height


@pytest.mark.parametrize("interesting", ["attention", "entropy"])
@pytest.mark.parametrize("ratio", RATIOS.values())
def test_libvips_cuts_the_pixels_inside_its_window(
    interesting: str, ratio: float, coffee: NDArray[np.uint8]
) -> None:
    pixels = np.ascontiguousarray(coffee[::2, ::2])
    pixels[:, :, 0] = np.arange(pixels.shape[1]) % 256
    pixels[:, :, 1] = np.arange(pixels.shape[0])[:, None] % 256
    window = croppers.libvips_cropper(interesting)(pixels, ratio)
    cut = pyvips.Image.new_from_array(pixels).smartcrop(
        window.width, window.height, interesting=interesting
    )
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    assert np.array_equal(cut.numpy(), pixels[rows, columns])


def test_smartcrop_follows_a_thing_by_whole_pixels(opened: dict[str, Cropper]) -> None:
    lefts = [
        opened[SMARTCROP](with_object((640, 160), left, 60, stripes()), 1.0).left
        for left in (240, 304, 368)
    ]
    assert np.diff(lefts).tolist() == [64, 64]


@pytest.mark.parametrize("left", [0, 130, 250])
def test_the_face_is_in_the_middle_unless_the_edge_is_near(
    left: int, opened: dict[str, Cropper], astronaut: NDArray[np.uint8]
) -> None:
    pixels = with_object((400, 200), left, 20, astronaut[FACE_IN_ASTRONAUT])
    window = opened[FACE](pixels, 1.0)
    middle = left + 75  # of the face
    assert window.left == pytest.approx(np.clip(middle - 100, 0, 200), abs=8)
    assert (window.top, window.height) == (0, 200)


def test_the_largest_face_wins(opened: dict[str, Cropper], astronaut: NDArray[np.uint8]) -> None:
    face = astronaut[FACE_IN_ASTRONAUT]
    pixels = with_object((400, 200), 20, 20, face[::2, ::2])
    pixels[20:170, 230:380] = face
    assert opened[FACE](pixels, 1.0).left > 180


def test_without_a_face_the_window_is_in_the_middle(
    opened: dict[str, Cropper], coffee: NDArray[np.uint8]
) -> None:
    assert opened[FACE](coffee, 1.0) == centre_window((600, 400), 1.0) == Window(100, 0, 400, 400)


def test_rows_and_columns(table: dict[str, Row]) -> None:
    models = ("brightness", "brightness, densest point", "nothing", "nothing, densest point")
    assert tuple(table) == (*models, *CROPPERS, BEST)
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
    for name in ("brightness", "brightness, densest point", ATTENTION):
        assert 0.5 < table[name]["gap closed"].mean <= 1
    for row in table.values():
        assert all(i.low - 1e-9 <= i.mean <= i.high + 1e-9 for i in row.values())


def test_each_photo_is_predicted_once(folder: Path, opened: dict[str, Cropper]) -> None:
    predictor, photos = Counted(), split(read_fixation_set(folder))[1]
    croppers.compare(photos, {"counted": predictor}, {CENTRE: opened[CENTRE]})
    assert predictor.calls == len(photos)


def test_crops_that_cannot_be_better_have_no_gap(
    tmp_path: Path, opened: dict[str, Cropper]
) -> None:
    """Squares have one square crop."""
    photos = split(read_fixation_set(write_set(tmp_path, size=(60, 60), photos=20)))[1]
    table = croppers.compare(photos, {}, {CENTRE: opened[CENTRE]})
    assert np.isnan(table[CENTRE]["gap 1:1"]).all()
    row = croppers.markdown("squares", table, len(photos)).splitlines()[4]
    assert row.startswith(f"| {CENTRE} | – |")


@pytest.mark.parametrize("name", [CENTRE, BEST, "nothing, densest point"])
def test_models_need_names_of_their_own(
    name: str, folder: Path, opened: dict[str, Cropper]
) -> None:
    with pytest.raises(ValueError, match="names of their own"):
        croppers.compare(read_fixation_set(folder), {"nothing": nothing, name: nothing}, opened)


def test_no_photo_to_validate_on_is_refused(opened: dict[str, Cropper]) -> None:
    with pytest.raises(ValueError, match="no photo"):
        croppers.compare([], {"nothing": nothing}, opened)


@pytest.mark.parametrize("package", ["smartcrop", "pyvips"])
def test_a_missing_package_is_named_before_any_work(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "argv", ["croppers", "--data", "nowhere"])
    command = r"pip install --editable '\.\[training,comparison\]'"
    with pytest.raises(ImportError, match=f"{package}.*{command}"):
        croppers.main()


def test_the_command_writes_the_tables(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ["--data", str(folder)] * 2
    model = ["--model", f"ours={CHECKPOINT}"]
    monkeypatch.setattr(sys, "argv", ["croppers", *data, *model, "--out", str(tmp_path)])
    croppers.main()
    written = (tmp_path / "croppers.md").read_text("utf-8")
    assert written.count("| ours |") == written.count(f"| {BEST} |") == 2
    assert written.splitlines()[2] in capsys.readouterr().out
    rows = json.loads((tmp_path / "croppers.json").read_text())[folder.name]["rows"]
    assert rows["ours, densest point"]["gap closed"].keys() == {"mean", "low", "high"}
    assert tuple(rows["ours"]) == COLUMNS
