import json
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
    assert "is the photo itself" in capsys.readouterr().err
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
    assert main(["ping", "--server", f"127.0.0.1:{free_address().grpc}"]) == 1
    assert "no Triton answers" in capsys.readouterr().err
