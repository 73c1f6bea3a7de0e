import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gazecrop.__main__ import main
from numpy.typing import NDArray
from PIL import ExifTags, Image

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
    passed_over = "passed over 1 that are no photos: 1 .txt\n"
    assert capsys.readouterr().err == 2 * passed_over  # no progress where nobody watches


def test_an_option_that_took_the_photo_says_so(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["crop", "--overlay", str(photo)])
    assert "a photo goes before this option" in capsys.readouterr().err


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


def test_the_same_command_again_gives_the_same(
    grpc: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    album = {photo.name, "crops/coffee-1x1.jpg", "crops/coffee-overlay.jpg"}
    for argument in (".", ".", "**/*.jpg", str(tmp_path), "."):
        assert main(["crop", argument, "--ratio", "1:1", "--overlay", "--server", grpc]) == 0
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        assert {str(path.relative_to(tmp_path)) for path in files} == album


def test_crops_among_the_photos_that_they_are_of_are_refused(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argument in (str(tmp_path), f"{tmp_path}/*.jpg"):
        assert main(["crop", argument, "--out", str(tmp_path)]) == 1
        assert "choose another folder with --out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [photo]


def test_whatever_is_wrong_with_some_the_others_are_cropped(
    grpc: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album, out = tmp_path / "album", tmp_path / "out"
    (album / "empty").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "z.jpg", "[1].jpg"):
        (album / name).write_bytes(photo.read_bytes())
    (album / "gone.jpg").symlink_to("nowhere")
    (album / "empty.jpg").touch()
    (album / "half.jpg").write_bytes(photo.read_bytes()[:9000])
    Image.new("RGB", (1, 1)).save(album / "spacer.gif")
    Image.new("L", (1, 900)).save(album / "line.png")
    arguments = [str(album), f"{album}/empty", "missing.jpg", "nul\0.jpg", "", f"{album}/*.jp2"]
    arguments += [f"{album}/[1].jpg", f"{album}/a.jpg", f"{tmp_path}/out/../album"]
    options = ["--ratio", "1:1", "--overlay", "--server", grpc, "--out", str(out)]
    assert main(["crop", *arguments, *options]) == 1
    names = ["[1]", "a.jpg", "a.png", "line", "spacer", "z"]
    written = sorted(path.name.partition("-")[0] for path in out.iterdir())
    assert written == sorted(2 * names)
    errors = capsys.readouterr().err
    for wrong in (
        "gone.jpg",
        "empty.jpg",
        "half.jpg",
        "missing.jpg",
        "nul",
        "empty holds",
        "*.jp2",
    ):
        assert wrong in errors
    assert "Traceback" not in errors


def run(*arguments: str, grpc: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "gazecrop", *arguments, "--server", grpc]
    return subprocess.run(command, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_names_that_a_terminal_cannot_show(
    encoding: str, grpc: str, photo: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    names = [b"caf\xe9.jpg", "日本.jpg".encode(), b"\x1b[2J.jpg", b"two\nlines.jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(album) + b"/" + name)).write_bytes(photo.read_bytes())
    bad = Path(os.fsdecode(os.fsencode(album) + b"/bad\xe9\x1b.jpg"))
    bad.write_bytes(b"x")
    result = run(
        *("crop", "album", "--ratio", "1:1"),
        grpc=grpc,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": encoding},
    )
    assert result.returncode == 1
    assert result.stderr.startswith(b"error: 'album/bad\\udce9\\x1b.jpg': ")
    assert result.stderr.count(b"\n") == 1
    written = {os.fsencode(path) for path in (tmp_path / "crops").iterdir()}
    assert len(written) == len(names)
    assert b"crops/caf\xe9-1x1.jpg\n" in result.stdout  # the file's name, byte by byte


def test_standard_output_that_is_full_costs_no_crop(grpc: str, photo: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(photo.read_bytes())
    for command in (
        ["crop", "."],
        ["crop", ".", "--dry-run", "--json"],
        ["predict", "."],
        ["ping"],
    ):
        with Path("/dev/full").open("w") as full:
            result = run(*command, grpc=grpc, cwd=tmp_path, stdout=full)
        assert result.returncode == 1
        assert result.stderr == b"error: cannot write to standard output: No space left on device\n"
    assert len(list((tmp_path / "crops").iterdir())) == 5 * 3


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(closed: str, grpc: str, photo: Path, tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m gazecrop crop {photo} --server {grpc} --out o"
    result = subprocess.run(
        f"{command} {closed}", shell=True, cwd=tmp_path, stderr=subprocess.PIPE, check=False
    )
    assert len(list((tmp_path / "o").iterdir())) == 3
    assert b"Traceback" not in result.stderr
    assert result.returncode == (1 if ">&-" in closed.replace("2>&-", "") else 0)


def test_standard_input_that_is_closed(grpc: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m gazecrop predict - --server {grpc} <&-"
    result = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert result.stderr == b"error: standard input: standard input is closed\n"


def test_a_photo_from_a_pipe(grpc: str, photo: Path, tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m gazecrop crop <(cat {photo}) --server {grpc}"
    subprocess.run(["bash", "-c", f"{command} --ratio 1:1 --overlay"], cwd=tmp_path, check=True)
    assert len(list((tmp_path / "crops").iterdir())) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_whole_files(
    number: signal.Signals, grpc: str, photo: Path, tmp_path: Path
) -> None:
    for index in range(300):
        (tmp_path / f"{index}.jpg").symlink_to(photo)
    command = [sys.executable, "-m", "gazecrop", "crop", ".", "--server", grpc]
    # A shell has its background jobs ignore SIGINT, and so would the command. A `preexec_fn`, which
    # could say otherwise, forks this process, and gRPC's threads in it may abort the copy.
    former = signal.signal(number, signal.default_int_handler)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        signal.signal(number, former)
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        process.stdout.read()
    assert process.returncode == 128 + number
    written = list((tmp_path / "crops").iterdir())
    assert 3 <= len(written) < 900
    for path in written:
        with Image.open(path) as picture:
            picture.load()


def test_files_of_two_shapes_with_one_name_are_refused(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["crop", str(photo), "--ratio", "16:9", "--size", "16x9"]) == 1
    assert "would share their names" in capsys.readouterr().err


def test_who_made_a_photo_is_kept_on_demand(
    grpc: str, tmp_path: Path, coffee: NDArray[np.uint8]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Jane Doe"
    (tmp_path / "a.jpg").write_bytes(encode(coffee, exif=exif, comment=b"at home"))
    arguments = ["crop", str(tmp_path / "a.jpg"), "--ratio", "1:1", "--server", grpc, "--out"]
    assert main([*arguments, str(tmp_path / "not")]) == 0
    assert main([*arguments, str(tmp_path / "kept"), "--keep-copyright"]) == 0
    assert not Image.open(tmp_path / "not" / "a-1x1.jpg").getexif()
    assert dict(Image.open(tmp_path / "kept" / "a-1x1.jpg").getexif()) == {0x013B: "Jane Doe"}
