"""Which files of real folders are photos, and what their crops are called."""

import os
from pathlib import Path

import gazecrop
import pytest
from gazecrop._files import PHOTO_SUFFIXES, Found, find_photos
from hypothesis import given
from hypothesis import strategies as st


def album(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(found: Found) -> list[str]:
    return [str(source.name) for source in found.sources]


def test_photos_of_every_suffix_are_found(tmp_path: Path) -> None:
    photos = [f"{suffix[1:]}{suffix}" for suffix in PHOTO_SUFFIXES]
    album(tmp_path, *photos, "B.JPG", "C.Heic")
    found = find_photos([str(tmp_path)])
    assert {source.path and source.path.name for source in found.sources} == {
        *photos,
        "B.JPG",
        "C.Heic",
    }
    assert not found.problems
    assert {".jpg", ".jfif", ".jpe", ".mpo", ".avif", ".heic"} <= gazecrop.PHOTO_SUFFIXES


def test_nothing_is_passed_over_in_silence(tmp_path: Path) -> None:
    album(tmp_path, "a.jpg", "a.mov", "b.mov", "README", "raw.dng", "._a.jpg", ".thumbnails/a.jpg")
    album(tmp_path, "@eaDir/a.jpg", "sub/.DS_Store", "sub/b.jpg", "sub/__MACOSX/a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    found = find_photos([str(tmp_path)])
    assert names(found) == ["a", "sub/b"]
    assert +found.passed_over == {
        ".mov": 2,
        ".dng": 1,
        "without a suffix": 1,
        "hidden": 5,
        "no files": 1,
        "links to folders": 1,
    }


def test_what_is_named_is_taken_hidden_or_not(tmp_path: Path) -> None:
    album(tmp_path, ".a.jpg", ".hidden/b.jpg", "raw.dng", "crops/c.jpg")
    arguments = [".a.jpg", ".hidden", "raw.dng", "crops/c.jpg", ".hid*/b.jpg"]
    found = find_photos([str(tmp_path / name) for name in arguments], tmp_path / "crops")
    assert names(found) == [".a", "b", "raw", "c"]


def test_the_output_folder_holds_no_photos(tmp_path: Path) -> None:
    album(tmp_path, "a.jpg", "out/a-1x1.jpg", "out/sub/b-1x1.jpg", "sub/out/c.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for argument in (tmp_path, f"{tmp_path}/**/*.jpg"):
        for out in (tmp_path / "out", tmp_path / "link", tmp_path / "sub" / ".." / "out"):
            assert names(find_photos([str(argument)], out)) == ["a", "sub/out/c"]
    assert names(find_photos([str(tmp_path / "out" / "sub")], tmp_path / "out")) == ["b-1x1"]


@pytest.mark.parametrize(
    "name", ["a [1].jpg", "a*.jpg", "[!a].jpg", "what?.jpg", "[].jpg", "[.jpg"]
)
def test_brackets_in_names_are_names(name: str, tmp_path: Path) -> None:
    folder = album(tmp_path / "album [2024]", name, "1.jpg")
    for argument in (folder / name, folder, f"{folder}/*.jpg"):
        sources = find_photos([str(argument)]).sources
        assert folder / name in [source.path for source in sources]


def test_brackets_that_match_nothing_are_names(tmp_path: Path) -> None:
    album(tmp_path, "a [1] x.jpg", "a [1] y.jpg")
    assert len(find_photos([f"{tmp_path}/a [1]*.jpg"]).sources) == 2


def test_a_pattern_may_match_folders(tmp_path: Path) -> None:
    album(tmp_path, "day1/a.jpg", "day2/sub/b.jpg", "night/c.jpg")
    assert names(find_photos([f"{tmp_path}/day*"])) == ["day1/a", "day2/sub/b"]


def test_a_photo_that_is_named_twice_is_cropped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album(tmp_path, "a.jpg", "sub/b.jpg")
    monkeypatch.chdir(tmp_path)
    arguments = [".", "a.jpg", "./a.jpg", str(tmp_path), "sub", "sub/../a.jpg", "*.jpg", "-", "-"]
    assert names(find_photos(arguments)) == ["a", "sub/b", "stdin"]
    (tmp_path / "link").symlink_to("sub")
    assert names(find_photos(["sub", "link"])) == ["b"]


def test_equal_names_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    album(tmp_path, "a.jpg", "a.png", "a.jpg.webp", "b.jpg", "x/b.jpg", "y/x/b.jpg", "c.gif")
    album(tmp_path, "stdin.jpg")
    assert names(find_photos(["a.jpg", "a.png", "c.gif"])) == ["a.jpg", "a.png", "c"]
    assert names(find_photos(["x/b.jpg", "sub/b.jpg", "c.gif"])) == ["x/b.jpg", "sub/b.jpg", "c"]
    assert names(find_photos(["x", "y"])) == ["b", "x/b"]
    assert names(find_photos(["-", "stdin.jpg"])) == ["stdin", "stdin.jpg"]
    found = find_photos(["."])
    assert len(set(names(found))) == len(found.sources) == 8


segments = st.sampled_from(["a", "b", "a.jpg", "a.png", "a.jpg.png", "stdin", "a-2"])
photos = st.lists(st.lists(segments, min_size=1, max_size=3).map("/".join), max_size=9)


@given(photos)
def test_names_always_differ(paths: list[str]) -> None:
    found = find_photos([f"none/{path}" for path in paths] + ["-"])
    assert len(set(names(found))) == len(found.sources) == len(set(paths)) + 1
    assert names(found) == names(find_photos([f"none/{path}" for path in paths] + ["-"]))


def test_what_holds_no_photo_is_said(tmp_path: Path) -> None:
    album(tmp_path, "a.txt", "photos/a.jpg")
    (tmp_path / "empty").mkdir()
    arguments = [
        "",
        f"{tmp_path}/empty",
        f"{tmp_path}/*.jpg",
        f"{tmp_path}/*.txt",
        f"{tmp_path}/photos",
    ]
    found = find_photos(arguments)
    assert len(found.problems) == 4
    assert all("holds no photo (.apng, .avif" in problem for problem in found.problems)
    assert names(found) == ["a"]
