"""Tiny copies of the published layouts are converted and read back."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image
from scipy.io import savemat

from training.data.converters import convert, still_spans
from training.data.fixations import Photo, read_fixation_set


def write_photo(path: Path, width: int = 80, height: int = 60, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    row, column = np.mgrid[:height, :width]
    pixels = np.stack([row, column, row + column], axis=2).astype(np.uint8)
    exif = Image.Exif()
    if orientation != 1:
        exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, "JPEG", exif=exif)


def cell(*values: Any) -> NDArray[np.object_]:
    """A MATLAB cell array, a column."""
    array = np.empty((len(values), 1), object)
    for row, value in enumerate(values):
        array[row, 0] = value
    return array


def write_nus(source: Path) -> None:
    first = {"fix_x": [10.04, -3.0, 79.96, 30.5], "fix_y": [20.0, 5, 5, 59.5]}
    images = []
    for name in ("1001.jpg", "1002.jpg"):
        write_photo(source / "stimuli" / name)
        subjects = cell(
            {**first, "fix_duration": [246, 100, 100, 300]},
            {"fix_x": [], "fix_y": [], "fix_duration": []},
            {"fix_x": 1.0, "fix_y": 2.0, "fix_duration": 136},
        )
        images.append({"img": name, "subjects": subjects})
    (source / "eye").mkdir()
    savemat(source / "eye" / "fixations.mat", {"fixations": cell(*images)})


def gaze(*places: tuple[float, float, int], noise: float = 2) -> NDArray[np.float64]:
    """Samples that rest at each x, y for so many samples, with a tracker's noise in pixels."""
    still = np.concatenate([np.full((count, 2), (x, y)) for x, y, count in places])
    return still + np.random.default_rng(0).normal(0, noise, still.shape)


def write_mit1003(source: Path, samples: NDArray[np.float64]) -> None:
    name = "i" + "0" * 70  # longer than a MATLAB name
    write_photo(source / "ALLSTIMULI" / f"{name}.jpeg", 400, 300)
    for subject in ("CNG", "ajs"):
        (source / "DATA" / subject).mkdir(parents=True)
        content = {name[:63]: {"imgName": f"{name}.jpeg", "DATA": {"eyeData": samples}}}
        savemat(source / "DATA" / subject / f"{name}.mat", content, long_field_names=True)
    (source / "DATA" / "hp_CalibrationData.mat").touch()


def write_cat2000(source: Path, shape: tuple[int, int] = (60, 80)) -> None:
    for category in ("Action", "Art"):
        write_photo(source / "Stimuli" / category / "001.jpg")
        write_photo(source / "Stimuli" / category / "Output" / "001.jpg")
        fixated = np.zeros(shape, np.uint8)
        fixated[59, 10] = fixated[3, 79] = 1
        (source / "FIXATIONLOCS" / category).mkdir(parents=True)
        savemat(source / "FIXATIONLOCS" / category / "001.mat", {"fixLocs": fixated})


def write_salicon(source: Path, fixations: list[list[float]]) -> None:
    for split, number in (("train", 9), ("val", 42)):
        name = f"COCO_{split}2014_{number:012}.jpg"
        write_photo(source / "images" / split / name)
        table = {
            "images": [{"id": number, "file_name": name, "width": 80, "height": 60}],
            "annotations": [
                {"id": worker, "image_id": number, "worker_id": worker, "fixations": fixations}
                for worker in (307, 444)
            ],
        }
        (source / "annotations").mkdir(exist_ok=True)
        path = source / "annotations" / f"fixations_{split}2014.json"
        path.write_text(json.dumps(table))


def by_subject(photo: Photo, subject: str) -> list[list[float]]:
    mine = [index for index, name in enumerate(photo.subjects) if name == subject]
    return photo.fixations[mine].round(1).tolist()


def rows(target: Path) -> list[dict[str, str]]:
    with (target / "fixations.csv").open(newline="") as table:
        return list(csv.DictReader(table))


@pytest.mark.parametrize("name", ["osie", "eyecrowd"])
def test_osie_and_eyecrowd(tmp_path: Path, name: str) -> None:
    write_nus(tmp_path / "data")
    assert convert(name, tmp_path / "data", tmp_path / "set") == (2, 6)
    photos = read_fixation_set(tmp_path / "set")
    assert [photo.path.name for photo in photos] == ["1001.jpg", "1002.jpg"]
    assert by_subject(photos[0], "0") == [[10, 20], [30.5, 59.5]]  # 79.96 rounds to the edge
    assert by_subject(photos[0], "2") == [[1, 2]]
    assert [(row["order"], row["duration_ms"]) for row in rows(tmp_path / "set")[:3]] == [
        ("0", "246"),
        ("1", "300"),
        ("0", "136"),
    ]


@pytest.mark.parametrize("noise", [0, 2, 6])
def test_mit1003_finds_the_fixations_after_the_first(tmp_path: Path, noise: float) -> None:
    samples = gaze(
        (200, 150, 60), (50, 60, 72), (300, 200, 48), (-500, -500, 30), (900, 10, 40), noise=noise
    )
    write_mit1003(tmp_path / "data", samples)
    assert convert("mit1003", tmp_path / "data", tmp_path / "set") == (1, 4)
    (photo,) = read_fixation_set(tmp_path / "set")
    assert set(photo.subjects) == {"CNG", "ajs"}
    np.testing.assert_allclose(by_subject(photo, "ajs"), [[50, 60], [300, 200]], atol=2)
    durations = [int(row["duration_ms"]) for row in rows(tmp_path / "set")]
    np.testing.assert_allclose(durations, [300, 200, 300, 200], atol=30)


def test_mit1003_recordings_without_fixations_have_no_rows(tmp_path: Path) -> None:
    write_mit1003(tmp_path / "data", gaze((5, 5, 60)))
    (recording,) = (tmp_path / "data" / "DATA" / "CNG").iterdir()
    savemat(recording, {"a": {"DATA": {"eyeData": np.zeros((0, 2))}}})
    assert convert("mit1003", tmp_path / "data", tmp_path / "set") == (1, 0)


def test_cat2000(tmp_path: Path) -> None:
    write_cat2000(tmp_path / "trainSet")
    assert convert("cat2000", tmp_path / "trainSet", tmp_path / "set") == (2, 4)
    photos = read_fixation_set(tmp_path / "set")
    assert [photo.path.name for photo in photos] == ["Action_001.jpg", "Art_001.jpg"]
    assert by_subject(photos[1], "0") == [[79.5, 3.5], [10.5, 59.5]]
    assert rows(tmp_path / "set")[0]["order"] == ""
    assert rows(tmp_path / "set")[0]["duration_ms"] == ""


def test_salicon_joins_the_positions_in_one_place(tmp_path: Path) -> None:
    moved: list[list[float]] = [[1, 1], [60, 80], [30, 10], [31, 10], [35, 12]]
    write_salicon(tmp_path / "data", moved)
    assert convert("salicon", tmp_path / "data", tmp_path / "set") == (2, 12)
    train, validation = read_fixation_set(tmp_path / "set")
    assert train.path.name == "COCO_train2014_000000000009.jpg"
    assert by_subject(validation, "444") == [[0.5, 0.5], [79.5, 59.5], [9.5, 30.5]]


def test_spans_end_where_the_place_changes_or_is_unknown() -> None:
    points = np.array([[0, 0], [1, 1], [50, 50], [51, 50], [52, 52], [np.nan, 0], [52, 52]])
    assert list(still_spans(points, spread=4, fewest=1)) == [slice(0, 2), slice(2, 5), slice(6, 7)]
    assert list(still_spans(points, spread=4, fewest=3)) == [slice(2, 5)]
    assert list(still_spans(points[:0], spread=4, fewest=1)) == []


def test_photos_are_copied_as_the_viewers_saw_them(tmp_path: Path) -> None:
    write_nus(tmp_path / "data")
    write_photo(tmp_path / "data" / "stimuli" / "1002.jpg", orientation=6)
    convert("osie", tmp_path / "data", tmp_path / "set")
    untouched, turned = read_fixation_set(tmp_path / "set")
    published = tmp_path / "data" / "stimuli"
    assert untouched.path.read_bytes() == (published / "1001.jpg").read_bytes()
    assert turned.pixels().shape == (60, 80, 3)
    with Image.open(published / "1002.jpg") as stored:
        np.testing.assert_allclose(turned.pixels().astype(int), np.asarray(stored), atol=8)


def test_a_finished_set_is_not_overwritten(tmp_path: Path) -> None:
    write_nus(tmp_path / "data")
    target = tmp_path / "set"
    (tmp_path / "data" / "stimuli").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"stimuli.1001\.jpg is missing"):
        convert("osie", tmp_path / "data", target)
    assert not (target / "fixations.csv").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "data" / "stimuli")
    convert("osie", tmp_path / "data", target)
    with pytest.raises(FileExistsError, match=r"fixations\.csv exists already"):
        convert("osie", tmp_path / "data", target)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("osie", "", "data is not a folder"),
        ("osie", "eye/fixations.mat", r"fixations\.mat is missing"),
        ("mit1003", "ALLSTIMULI", "ALLSTIMULI is not a folder"),
        ("mit1003", "DATA", "DATA is not a folder"),
        ("mit1003", "DATA/ajs/*.mat", r"ajs/i0+\.mat is missing"),
        ("cat2000", "Stimuli/*/*.jpg", r"Stimuli holds no \*/\*\.jpg"),
        ("cat2000", "FIXATIONLOCS/Art", r"Art/001\.mat is missing"),
        ("salicon", "annotations", r"has no fixations_train2014\.json"),
        ("salicon", "images", "images is not a folder"),
        ("salicon", "images/val/*.jpg", r"fixations_val2014\.json names COCO_val2014_0+42\.jpg"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, missing: str, message: str) -> None:
    source = tmp_path / "data"
    if missing:
        source.mkdir()
        {
            "osie": write_nus,
            "mit1003": lambda folder: write_mit1003(folder, gaze((5, 5, 60))),
            "cat2000": write_cat2000,
            "salicon": lambda folder: write_salicon(folder, [[1, 1]]),
        }[name](source)
        for path in list(source.glob(missing)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=message):
        convert(name, source, tmp_path / "set")


@pytest.mark.parametrize(
    "content",
    [
        {"gaze": 1},
        {"fixations": np.ones((5, 2))},
        {"fixations": cell({"img": "1001.jpg", "subjects": cell({"fix_x": [1.0]})})},
        {
            "fixations": cell(
                {
                    "img": "1001.jpg",
                    "subjects": cell({"fix_x": [1.0], "fix_y": [1, 2], "fix_duration": [1]}),
                }
            )
        },
    ],
)
def test_other_osie_layouts_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    write_nus(tmp_path / "data")
    savemat(tmp_path / "data" / "eye" / "fixations.mat", content)
    with pytest.raises(ValueError, match=r"fixations\.mat is no cell array"):
        convert("osie", tmp_path / "data", tmp_path / "set")


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        {"a": {"DATA": {"gaze": 1}}},
        {"a": {"DATA": {"eyeData": [1.0]}}, "b": 2},
        {"a": {"DATA": {"eyeData": np.ones((5, 1))}}},
    ],
)
def test_other_mit1003_layouts_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    write_mit1003(tmp_path / "data", gaze((5, 5, 60)))
    (recording,) = (tmp_path / "data" / "DATA" / "CNG").iterdir()
    savemat(recording, content)
    with pytest.raises(ValueError, match=r"CNG/i0+\.mat holds no single variable"):
        convert("mit1003", tmp_path / "data", tmp_path / "set")


def test_cat2000_maps_must_fit_their_images(tmp_path: Path) -> None:
    write_cat2000(tmp_path / "data", shape=(90, 90))
    with pytest.raises(ValueError, match=r"001\.mat has no map fixLocs of the size of .*001\.jpg"):
        convert("cat2000", tmp_path / "data", tmp_path / "set")


def test_salicon_positions_as_x_and_y_are_refused(tmp_path: Path) -> None:
    write_salicon(tmp_path / "data", [[70, 30]])  # the image is 60 high
    with pytest.raises(ValueError, match=r"train2014\.json: a fixation of image 9 is no \[row"):
        convert("salicon", tmp_path / "data", tmp_path / "set")


@pytest.mark.parametrize("content", ["[]", "{", '{"images": []}', '{"annotations": [{}]}'])
def test_other_salicon_tables_are_refused(tmp_path: Path, content: str) -> None:
    write_salicon(tmp_path / "data", [[1, 1]])
    (tmp_path / "data" / "annotations" / "fixations_train2014.json").write_text(content)
    with pytest.raises(ValueError, match=r"train2014\.json is no SALICON table"):
        convert("salicon", tmp_path / "data", tmp_path / "set")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64), "save it again in MATLAB"),
        (b"", "cannot be read as a MATLAB file"),
        (b"no MATLAB file " * 20, "cannot be read as a MATLAB file"),
    ],
)
def test_unreadable_matlab_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    write_nus(tmp_path / "data")
    (tmp_path / "data" / "eye" / "fixations.mat").write_bytes(content)
    with pytest.raises(ValueError, match=rf"fixations\.mat .*{message}"):
        convert("osie", tmp_path / "data", tmp_path / "set")


def test_the_command_tells_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.data.converters", "osie", str(tmp_path / "data")]
    target = str(tmp_path / "set")
    failed = subprocess.run([*command, target], capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr == f"{tmp_path / 'data'} is not a folder\n"
    write_nus(tmp_path / "data")
    done = subprocess.run([*command, target], capture_output=True, text=True)
    assert done.returncode == 0
    assert "2 images, 6 fixations" in done.stdout
