import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gazecrop.__main__ import main
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import encode, free_address


def test_writes_crops_and_the_overlay(
    grpc: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["crop", str(photo), "--server", grpc, "--ratio", "16:9", "--ratio", "1:1"]
    assert main([*arguments, "--overlay", "--out", str(out)]) == 0
    written = {path.name: Image.open(path).size for path in out.iterdir()}
    assert written == {
        "coffee-16x9.jpg": (600, 338),
        "coffee-1x1.jpg": (400, 400),
        "coffee-overlay.jpg": (600, 400),
    }
    assert capsys.readouterr().out.splitlines() == [
        str(out / name) for name in ("coffee-16x9.jpg", "coffee-1x1.jpg", "coffee-overlay.jpg")
    ]


def test_json_has_rectangles_and_shares(
    grpc: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["crop", str(photo), "--server", grpc, "--ratio", "2:1", "--json", "--out", str(tmp_path)])
    line = json.loads(capsys.readouterr().out)
    assert line["size"] == [600, 400]
    assert line["crops"]["2:1"]["width"] == 600
    assert 0.5 < line["crops"]["2:1"]["kept"] <= 1


def test_one_bad_photo_does_not_stop_the_others(
    grpc: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photo")
    out = tmp_path / "out"
    arguments = ["crop", str(bad), str(photo), "--server", grpc, "--ratio", "1:1"]
    assert main([*arguments, "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert f"error: {bad}: " in captured.err
    assert "not an image" in captured.err
    assert [path.name for path in out.iterdir()] == ["coffee-1x1.jpg"]


def test_an_input_is_never_overwritten(
    grpc: str, tmp_path: Path, coffee: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(encode(coffee))
    link = tmp_path / "a-1x1.jpg"
    link.symlink_to(photo)
    before = photo.read_bytes()
    arguments = ["crop", str(photo), "--server", grpc, "--ratio", "1:1", "--out", str(tmp_path)]
    assert main(arguments) == 1
    assert "is one of the photos itself" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_photos_of_one_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crop", "a/photo.jpg", "b/photo.png"]) == 1
    assert "share the crops' names" in capsys.readouterr().err


def test_transparency_survives(grpc: str, tmp_path: Path, coffee: NDArray[np.uint8]) -> None:
    alpha = np.full((*coffee.shape[:2], 1), 90, np.uint8)
    photo = tmp_path / "clear.png"
    photo.write_bytes(encode(np.concatenate([coffee, alpha], axis=2), "PNG"))
    out = tmp_path / "out"
    assert main(["crop", str(photo), "--server", grpc, "--ratio", "1:1", "--out", str(out)]) == 0
    assert Image.open(out / "clear-1x1.png").getpixel((5, 5))[3] == 90


def test_predict_prints_the_density(
    grpc: str, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photo), "--server", grpc]) == 0
    line = json.loads(capsys.readouterr().out)
    assert np.sum(line["density"]) == pytest.approx(1, abs=1e-4)


def test_ping(grpc: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "--server", grpc]) == 0
    assert f"{grpc} is ready" in capsys.readouterr().out
    assert main(["ping", "--server", grpc, "--model", "0" * 12]) == 1
    assert "does not predict" in capsys.readouterr().out
    assert main(["ping", "--server", f"127.0.0.1:{free_address().grpc}"]) == 1
    assert "is unavailable" in capsys.readouterr().err


def test_folders_and_patterns_keep_their_structure(
    grpc: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album = tmp_path / "album"
    (album / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/a.JPG", "sub/b.jpg"):
        (album / name).write_bytes(photo.read_bytes())
    (album / "notes.txt").write_text("no photo")
    for number, argument in enumerate((str(album), f"{album}/**/*.*")):
        out = tmp_path / f"out{number}"
        assert main(["crop", argument, "--server", grpc, "--ratio", "1:1", "--out", str(out)]) == 0
        written = sorted(str(path.relative_to(out)) for path in out.rglob("*.jpg"))
        assert written == ["a-1x1.jpg", "sub/a-1x1.jpg", "sub/b-1x1.jpg"]
    assert "photos" not in capsys.readouterr().err  # no progress where nobody watches


def test_where_there_is_no_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crop", str(tmp_path)]) == 1
    assert main(["crop", f"{tmp_path}/*.jpg"]) == 1
    assert capsys.readouterr().err.count("holds no photo") == 2


def test_works_in_a_pipeline(grpc: str, photo: Path) -> None:
    command = [sys.executable, "-m", "gazecrop", "crop", "-", "--server", grpc]
    cut = subprocess.run(
        [*command, "--size", "120x120", "--out", "-"],
        input=photo.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert Image.open(io.BytesIO(cut.stdout)).size == (120, 120)
    described = subprocess.run(
        [*command, "--ratio", "1:1", "--json", "--dry-run"],
        input=photo.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert json.loads(described.stdout)["photo"] == "standard input"


def test_a_reader_that_has_seen_enough_ends_it_quietly(grpc: str, photo: Path) -> None:
    command = [sys.executable, "-m", "gazecrop", "predict", str(photo), "--server", grpc]
    pipe = f"{shlex.join(command)} | head -c 1"
    result = subprocess.run(pipe, shell=True, capture_output=True, check=True)
    assert result.stderr == b""


@pytest.mark.parametrize(
    "extra", [["--ratio", "1:1", "--ratio", "2:1"], ["--size", "9x9", "--json"]]
)
def test_standard_output_takes_one_picture(
    extra: list[str], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["crop", str(photo), "--out", "-", *extra]) == 1
    assert "standard output takes" in capsys.readouterr().err


def test_sizes_in_pixels_and_padding(grpc: str, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["crop", str(photo), "--server", grpc, "--out", str(out), "--size", "50x200"]
    assert main([*arguments, "--pad", "--min-kept", "1"]) == 0
    padded = Image.open(out / "coffee-50x200.jpg")
    assert padded.size == (50, 200)
    assert padded.getpixel((25, 5)) == (255, 255, 255)
    assert main([*arguments, "--dry-run", "--out", str(tmp_path / "none")]) == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("size", ["50", "0x9", "axb", "5x"])
def test_a_size_that_is_none(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["crop", "photo.jpg", "--size", size])
    assert "not WIDTHxHEIGHT" in capsys.readouterr().err


def test_what_cannot_be_written_is_said(
    grpc: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["crop", str(photo), "--server", grpc, "--ratio", "1:1"]
    assert main([*arguments, "--out", str(tmp_path / "file")]) == 1
    assert "cannot write" in capsys.readouterr().err
