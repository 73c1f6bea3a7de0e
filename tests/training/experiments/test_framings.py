import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.samples import TINY, write_set
from training.experiments import framings
from training.networks import student
from training.networks.predictors import FramedNetwork

PHOTO = np.zeros((100, 200, 3), np.uint8)


def test_a_window_is_the_largest_of_its_ratio_where_most_fixations_are() -> None:
    fixations = np.array([[10, 50], [150, 20], [160, 50], [170, 90]], np.float32)
    pixels, inside = framings.window(PHOTO, fixations, 1 / 2)
    assert pixels.shape == (100, 50, 3)
    assert len(inside) == 3
    assert np.ptp(inside, axis=0).tolist() == [20, 70]
    assert ((inside >= 0) & (inside < (50, 100))).all()


def test_a_long_window_moves_down_the_photo() -> None:
    photo = np.zeros((200, 120, 3), np.uint8)
    photo[150:160] = 255
    pixels, inside = framings.window(photo, np.array([[60, 155]], np.float32), 3.0)
    assert pixels.shape == (40, 120, 3)
    assert pixels[int(inside[0, 1])].min() == 255


def test_the_whole_photo_keeps_its_fixations() -> None:
    fixations = np.array([[10, 50]], np.float32)
    pixels, inside = framings.window(PHOTO, fixations, None)
    assert pixels is PHOTO
    assert inside is fixations


def test_every_framing_gives_a_density() -> None:
    torch.manual_seed(0)
    network = student.Student(TINY).eval()
    for name, framing in framings.FRAMINGS.items():
        density = framing(network, PHOTO)
        assert density.shape == (TINY.grid, TINY.grid), name
        assert density.sum() == pytest.approx(1, abs=1e-4), name


def test_the_bounded_squash_is_what_serving_does() -> None:
    torch.manual_seed(0)
    network = student.Student(TINY).eval()
    photo = np.random.default_rng(0).integers(0, 256, (60, 150, 3), dtype=np.uint8)
    expected = FramedNetwork(network)(photo)
    assert np.array_equal(framings.FRAMINGS["squash ≤ 4:3"](network, photo), expected)


def test_the_command_prints_every_framing_of_every_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "student.safetensors"
    student.save(student.Student(TINY), checkpoint)
    folder = write_set(tmp_path / "set", photos=12, size=(120, 90))
    arguments = ["--data", str(folder), "--checkpoint", str(checkpoint)]
    monkeypatch.setattr(sys, "argv", ["framings", *arguments])
    monkeypatch.setattr(framings, "FEWEST_FIXATIONS", 1)
    framings.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(framings.SHAPES) * len(framings.FRAMINGS)
    assert all(np.isfinite(float(line.split()[-1])) for line in lines)
