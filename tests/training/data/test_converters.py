"""Tiny copies of the published layouts are converted and read back."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pysaliency
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image
from scipy.io import savemat

from training.data.converters import convert
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


def write_scene(source: Path) -> None:
    for name in ("001.jpg", "002.jpg"):
        write_photo(source / "stimuli" / name)
    cells = np.empty((2, 2), object)
    cells[0, 0] = np.array([[20.0, 10, 0.2, 0.246], [5, 90, 0.5, 0.1], [59.5, 30.5, 0.7, 0.3]])
    cells[0, 1] = cells[1, 0] = np.zeros((0, 0))
    cells[1, 1] = np.array([[2.0, 1, 0.1, 0.136]])
    (source / "tidy").mkdir()
    savemat(source / "tidy" / "fixations.mat", {"fixations": cells})


def write_pascals(source: Path) -> None:
    for number in (1, 2, 3):
        write_photo(source / "imgs" / "pascal" / f"{number}.jpg")
    (source / "fixations").mkdir()
    with h5py.File(source / "fixations" / "pascalFix.mat", "w") as file:
        cells = file.create_dataset("fixCell", (1, 3), h5py.ref_dtype)
        looks = np.array([[1.0, 60, 3], [1, 80, 40], [2, 1, 2]])  # y, x, subject
        for index, content in enumerate((looks, np.array([3, 0], np.uint64), looks[:, :1])):
            cells[0, index] = file.create_dataset(f"#refs#/{index}", data=content).ref
        file["#refs#/1"].attrs["MATLAB_empty"] = 1


def write_pysaliency(source: Path, in_order: bool = True) -> None:
    paths = [source / "Stimuli" / name / "001.jpg" for name in ("Action", "Art")]
    for path in paths:
        write_photo(path)
    pysaliency.FileStimuli([str(path) for path in paths]).to_hdf5(str(source / "stimuli.hdf5"))
    trains = pysaliency.FixationTrains.from_fixation_trains(
        [[10.5, 20], [30, 99], [1]],
        [[5, 6], [7, 8], [2]],
        [[0, 1], [0, 1], [0]],
        [1, 1, 0],
        [0, 4, 4],
    )
    fixations = trains if in_order else trains[np.arange(len(trains))]
    fixations.to_hdf5(str(source / "fixations.hdf5"))


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


def test_scene(tmp_path: Path) -> None:
    write_scene(tmp_path / "data")
    assert convert("scene", tmp_path / "data", tmp_path / "set") == (2, 3)
    first, second = read_fixation_set(tmp_path / "set")
    assert (first.path.name, second.path.name) == ("001.jpg", "002.jpg")
    assert by_subject(first, "0") == [[10, 20], [30.5, 59.5]]
    assert by_subject(second, "1") == [[1, 2]]
    assert [(row["order"], row["duration_ms"]) for row in rows(tmp_path / "set")] == [
        ("0", "246"),
        ("1", "300"),
        ("0", "136"),
    ]


def test_pascals(tmp_path: Path) -> None:
    write_pascals(tmp_path / "data")
    assert convert("pascals", tmp_path / "data", tmp_path / "set") == (3, 4)
    first, third = read_fixation_set(tmp_path / "set")
    assert (first.path.name, third.path.name) == ("pascals_0001.jpg", "pascals_0003.jpg")
    assert by_subject(first, "1") == [[79.5, 59.5]]
    assert by_subject(first, "2") == [[0.5, 0.5], [39.5, 2.5]]
    assert by_subject(third, "2") == [[0.5, 0.5]]


@pytest.mark.parametrize("in_order", [True, False])
def test_pysaliency(tmp_path: Path, in_order: bool) -> None:
    write_pysaliency(tmp_path / "data", in_order)
    assert convert("pysaliency", tmp_path / "data", tmp_path / "set") == (2, 4)
    action, art = read_fixation_set(tmp_path / "set")
    assert (action.path.name, art.path.name) == ("Action_001.jpg", "Art_001.jpg")
    assert by_subject(action, "4") == [[1, 2]]
    assert by_subject(art, "0") == [[10.5, 5], [20, 6]]
    assert by_subject(art, "4") == [[30, 7]]  # the other one is outside
    orders = [row["order"] for row in rows(tmp_path / "set")]
    assert orders == (["0", "0", "1", "0"] if in_order else [""] * 4)


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
        ("scene", "tidy", r"tidy.fixations\.mat is missing"),
        ("scene", "stimuli/002.jpg", r"002\.jpg is missing"),
        ("pascals", "fixations", r"pascalFix\.mat is missing"),
        ("pascals", "imgs/pascal/3.jpg", r"pascal.3\.jpg is missing"),
        ("pysaliency", "fixations.hdf5", r"fixations\.hdf5 is missing"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, missing: str, message: str) -> None:
    source = tmp_path / "data"
    if missing:
        source.mkdir()
        {
            "osie": write_nus,
            "scene": write_scene,
            "pascals": write_pascals,
            "pysaliency": write_pysaliency,
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
    [{"gaze": 1}, {"fixations": np.ones((5, 4))}, {"fixations": cell(np.ones((5, 3)))}],
)
def test_other_scene_layouts_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    write_scene(tmp_path / "data")
    savemat(tmp_path / "data" / "tidy" / "fixations.mat", content)
    with pytest.raises(ValueError, match=r"fixations\.mat is no cell array \[image, subject\]"):
        convert("scene", tmp_path / "data", tmp_path / "set")


@pytest.mark.parametrize("layout", ["no HDF5", "no cells", "other rows"])
def test_other_pascals_layouts_are_refused(tmp_path: Path, layout: str) -> None:
    write_pascals(tmp_path / "data")
    table = tmp_path / "data" / "fixations" / "pascalFix.mat"
    if layout == "no HDF5":
        table.write_bytes(b"no HDF5")
    else:
        with h5py.File(table, "a") as file:
            if layout == "no cells":
                del file["fixCell"]
            else:
                file["fixCell"][0, 0] = file.create_dataset("other", data=np.ones((2, 5))).ref
    with pytest.raises(ValueError, match=r"pascalFix\.mat is no HDF5 file with fixCell"):
        convert("pascals", tmp_path / "data", tmp_path / "set")


def test_other_pysaliency_folders_are_refused(tmp_path: Path) -> None:
    write_pysaliency(tmp_path / "data")
    (tmp_path / "data" / "stimuli.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match="data holds no photos and fixations of pysaliency"):
        convert("pysaliency", tmp_path / "data", tmp_path / "set")


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
