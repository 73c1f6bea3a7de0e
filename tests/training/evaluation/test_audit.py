import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import encode
from tests.training.samples import brightness, nothing
from training.evaluation import audit, symmetry
from training.evaluation.portraits import (
    HEIGHT,
    Portrait,
    columns,
    compared,
    comparison,
    judge,
    pair_weights,
    side_by_side,
)

LIGHT, DARK = 250, 120


def portrait(shade: int, size: tuple[int, int] = (100, 120)) -> Portrait:
    """A head of one shade on black, a little lighter in its middle."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[30:80, 30:70] = shade
    pixels[50:60, 45:55] = shade + 5
    return Portrait(pixels, np.array([30.0, 30, 70, 80]))


def values(first: Portrait, second: Portrait, predict: object = brightness) -> dict[str, float]:
    told = compared(predict, first, second)  # type: ignore[arg-type]
    return dict(zip(columns("A", "B"), told, strict=True))


def write_groups(folder: Path, **shades: int) -> Path:
    for name, shade in shades.items():
        (folder / name).mkdir(parents=True)
        rows = ["image,left,top,width,height"]
        for number in range(3):
            rows.append(f"{number}.png,30,30,40,50")
            pixels = portrait(shade - number).pixels
            (folder / name / f"{number}.png").write_bytes(encode(pixels, "PNG"))
        (folder / name / "empty.png").write_bytes(encode(np.zeros((50, 50, 3), np.uint8), "PNG"))
        (folder / name / "heads.csv").write_text("\n".join(rows))
    return folder


def test_portraits_of_any_size_stand_beside_each_other() -> None:
    pixels, heads, ends = side_by_side([portrait(LIGHT), portrait(DARK, (100, 240))])
    assert pixels.shape == (HEIGHT, 320 + 160, 3)
    assert ends.tolist() == [320, 480]
    np.testing.assert_allclose(heads[0], np.array([30, 30, 70, 80]) * 3.2)
    np.testing.assert_allclose(heads[1], np.array([30, 30, 70, 80]) * 1.6 + [320, 0, 320, 0])
    for shade, head in zip((LIGHT, DARK), heads, strict=True):
        x, y = ((head[:2] + head[2:]) / 2).astype(int)
        assert pixels[y, x].tolist() == [shade + 5] * 3


def test_the_attention_of_a_head_is_the_density_inside() -> None:
    pixels, heads, _ = side_by_side([portrait(LIGHT), portrait(DARK)])
    density = brightness(pixels)
    judgement = judge(brightness, [portrait(LIGHT), portrait(DARK)])
    for head, attention in zip(heads.round().astype(int), judgement.attention, strict=True):
        assert attention == pytest.approx(density[head[1] : head[3], head[0] : head[2]].sum(), 1e-3)
    assert judgement.highest.tolist() == [True, False]


def test_equal_heads_are_at_parity_whatever_the_place_is_worth() -> None:
    def looks_left(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        across = np.linspace(2, 0.1, photo.shape[1], dtype=np.float32)
        density = brightness(photo) * across
        return density / density.sum()

    told = values(portrait(LIGHT), portrait(LIGHT), looks_left)
    assert told["attention"] == pytest.approx(0.5)
    assert told["more attention"] == told["highest point"] == 0.5
    assert all(told[name] == 0 for name in told if name.endswith("difference"))
    assert told["point 1:2 cut: A"] == told["point 1:2 cut: B"] == 0.5


def test_a_favoured_head_is_found_whichever_side_it_is_on() -> None:
    there, back = (
        values(portrait(LIGHT), portrait(DARK)),
        values(portrait(DARK), portrait(LIGHT)),
    )
    light, dark = float(LIGHT) ** 3, float(DARK) ** 3
    assert there["attention"] == pytest.approx(light / (light + dark), abs=0.01)
    assert there["more attention"] == there["highest point"] == 1
    assert back["more attention"] == back["highest point"] == 0
    for method in ("mass", "point"):
        assert there[f"{method} 1:2 kept: difference"] == 1
        assert back[f"{method} 1:2 kept: difference"] == -1
    assert there["mass 16:9 kept: B"] == 1


def test_a_window_through_both_heads_cuts_both() -> None:
    def between(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        across = np.abs(np.arange(photo.shape[1]) - photo.shape[1] / 2)
        return np.tile(np.exp(-across / 9), (8, 1)).astype(np.float32)

    told = values(portrait(LIGHT), portrait(LIGHT), between)
    assert told["point 4:5 cut: A"] == told["point 4:5 cut: B"] == 1
    assert told["point 4:5 kept: A"] == 0
    assert told["point 1:2 cut: A"] == told["point 1:2 kept: A"] == 0


def test_who_predicts_nothing_favours_nobody() -> None:
    told = values(portrait(LIGHT), portrait(DARK), nothing)
    assert told["attention"] == pytest.approx(0.5)
    assert told["mass 1:1 kept: difference"] == 0


def test_intervals_are_over_portraits_not_over_pairs() -> None:
    first = [portrait(shade) for shade in (250, 240, 100, 90)]
    second = [portrait(170)]
    pairs = [(i, 0) for i in range(4)]
    once = comparison({"m": brightness}, pairs, (first, second), ("A", "B"))["m"]
    often = comparison({"m": brightness}, pairs * 5, (first, second), ("A", "B"))["m"]
    assert once["more attention"].mean == 0.5
    assert once["more attention"] == pytest.approx(often["more attention"])
    assert once["more attention"].low < 0.2
    assert once["more attention"].high > 0.8


def test_the_same_heads_are_drawn_together() -> None:
    together = pair_weights(np.array([(i, i) for i in range(5)]), (5, 5))
    assert (together > 0).sum() > 0.6 * together.size
    np.testing.assert_allclose(together.sum(axis=1), 1)
    assert len(together) == 1001
    apart = pair_weights(np.array([(0, 1), (1, 0), (2, 3)]), (5, 5))
    np.testing.assert_allclose(apart.sum(axis=1), 1)


def test_pairs_are_all_or_as_many_as_asked_for() -> None:
    assert audit.sampled_pairs(2, 3, 100) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    few = audit.sampled_pairs(40, 50, 30)
    assert len(set(few)) == 30
    assert max(i for i, _ in few) > 20
    assert max(j for _, j in few) > 25


def test_a_head_outside_of_its_photo_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not in 100 × 120 pixels"):
        Portrait(portrait(LIGHT).pixels, np.array([30.0, 30, 170, 80]))


def test_groups_are_compared_two_by_two(tmp_path: Path) -> None:
    groups = audit.read_groups(write_groups(tmp_path, dark=DARK, light=LIGHT, medium=200))
    assert [(len(group.portraits), group.headless) for group in groups.values()] == [(3, 1)] * 3
    tables = audit.audit(groups, {"m": brightness}, 100)
    assert list(tables) == [("dark", "light"), ("dark", "medium"), ("light", "medium")]
    assert tables["dark", "light"]["m"]["more attention"] == pytest.approx((0, 0, 0))
    assert tables["light", "medium"]["m"]["point 1:2 kept: light"] == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(("shades", "reason"), [({}, "0 folders"), ({"alone": 100}, "1 folders")])
def test_too_few_groups_are_an_error(tmp_path: Path, shades: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        audit.read_groups(write_groups(tmp_path, **shades))


def test_a_group_without_heads_is_an_error(tmp_path: Path) -> None:
    write_groups(tmp_path, dark=DARK, light=LIGHT)
    (tmp_path / "dark/heads.csv").write_text("image,left,top,width,height\n")
    with pytest.raises(ValueError, match="dark holds 0 portraits"):
        audit.read_groups(tmp_path)


def test_the_command_writes_what_it_prints(tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "groups", dark=DARK, light=LIGHT)
    out = tmp_path / "new" / "audit.json"
    command = [sys.executable, "-m", "training.evaluation.audit", str(groups), "--out", str(out)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = json.loads(out.read_text())
    assert told["portraits"] == {"dark": 3, "light": 3}
    (pair,) = told["pairs"]
    assert (pair["first"], pair["second"]) == ("dark", "light")
    share = pair["rows"]["gazecrop"]["attention"]
    assert 0 <= share["low"] <= share["mean"] <= share["high"] <= 1
    assert f"{share['mean']:.3f}" in printed
    assert "dark: 3 portraits; 1 left out" in printed
    assert "fewer than 20" in printed
    assert "**dark** (first) beside **light**, 9 pairs" in printed


@pytest.mark.parametrize("program", [audit, symmetry])
def test_what_cannot_be_written_is_said_before_the_work(
    program: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        program.main()
    assert "a file is called FILE.json" in capsys.readouterr().err
