"""The whole recipe, tiny: from gaze data to a student, interrupted and resumed."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.samples import write_set, write_weights
from training import __main__
from training.data.fixations import fold, read_fixation_set, split
from training.data.sources import Sources
from training.evaluation.evaluate import mean_nss
from training.networks import student
from training.networks.cost import milliseconds
from training.networks.criteria import CRITERIA
from training.networks.predictors import FramedNetwork, open_predictor

ROOT = Path(__file__).parents[2]
RECIPE = Path(__file__).parent / "tiny.toml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_set(folder / "squares", photos=40)
    write_set(folder / "unlabelled", photos=20)
    shutil.move(folder / "unlabelled" / "images", folder / "photos")
    shutil.rmtree(folder / "unlabelled")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def command(weights: Path) -> Command:
    def command(data: Path, run: Path, *more: str, module: str = "training") -> list[str]:
        arguments = ["--data", str(data), "--out", str(run), "--recipe", str(RECIPE)]
        return [sys.executable, "-m", module, *arguments, "--weights", str(weights), *more]

    return command


@pytest.fixture(scope="module")
def run(data: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which was killed in the middle of three of its stages."""
    run = tmp_path_factory.mktemp("run")
    for stage, sign in (
        ("features", "features/efficientnet_lite0.json"),
        ("teachers", "teachers/efficientnet_lite0-0/log.jsonl"),
        ("distillation", "distilled/log.jsonl"),
        ("finetuning", "pruned/latest.safetensors"),
    ):
        process = subprocess.Popen(command(data, run, stage), cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 600
        while not (run / sign).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.wait(20)
    subprocess.run(command(data, run), cwd=ROOT, check=True)
    return run


def test_every_stage_leaves_its_result(run: Path) -> None:
    members = json.loads((run / "ensemble.json").read_text())
    assert [member["weight"] for member in members] == [0.375, 0.375, 0.125, 0.125]
    targets = np.load(run / "targets.npy")
    assert np.allclose(targets.sum(axis=(1, 2)), 1, atol=1e-4)
    curve = [json.loads(line) for line in (run / "pruned/curve.jsonl").open()]
    times = [point["milliseconds"] for point in curve]
    assert min(times) <= 0.31 < max(times)


def test_a_stage_that_is_done_changes_nothing(run: Path, data: Path, command: Command) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    subprocess.run(command(data, run, "pruning", "finetuning"), cwd=ROOT, check=True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["polishing"], "no stage is called polishing; there are features, teachers, ensemble"),
        (["--weights", "none"], "none/efficientnet_lite0_imagenet.safetensors does not exist"),
        (["--start", "none.safetensors"], "none.safetensors"),
        (["--recipe", "none.toml"], "none.toml"),
    ],
)
def test_mistakes_are_named_before_any_work(
    more: list[str],
    message: str,
    data: Path,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", command(data, tmp_path / "run", *more)[2:])
    with pytest.raises(SystemExit) as raised:
        __main__.main()
    assert raised.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_final_student_is_small_and_looks_where_people_do(run: Path, data: Path) -> None:
    network = student.load(run / "student.safetensors")
    assert milliseconds(network.sizes) <= 0.31
    widths = [(block.hidden, block.out) for block in network.sizes.blocks]
    assert all(hidden % 8 == 0 and out % 8 == 0 for hidden, out in widths)
    validation = split(read_fixation_set(data / "squares"))[1]
    assert mean_nss(FramedNetwork(network), validation) > 0.3  # 0 is chance


def test_the_ensemble_predicts_like_any_network(run: Path, data: Path) -> None:
    photo = split(read_fixation_set(data / "squares"))[1][0].pixels()
    density = open_predictor(run / "ensemble.json")(photo)
    assert density.sum() == pytest.approx(1, abs=1e-4)


def test_targets_of_other_photos_are_refused(
    run: Path, data: Path, command: Command, tmp_path: Path
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    other = tmp_path / "data"
    shutil.copytree(data, other)
    next((other / "photos").iterdir()).unlink()
    done = subprocess.run(
        command(other, copied, "ensemble"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "made of other photos" in done.stderr


def test_two_processes_learn_together(data: Path, command: Command, tmp_path: Path) -> None:
    """As by torchrun on many devices: both ranks hold the same network in the end."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    arguments = command(data, tmp_path / "run", "teachers", "--devices", "2")[1:]
    subprocess.run([*torchrun, *arguments], cwd=ROOT, check=True, capture_output=True, timeout=600)
    assert (tmp_path / "run" / "teachers" / "mobilenet_v2-1.safetensors").exists()
    state = torch.load(tmp_path / "run/teachers/mobilenet_v2-0/state.ckpt", weights_only=True)
    assert state["step"] == 12


def test_a_photos_targets_come_from_teachers_that_never_saw_it(run: Path, data: Path) -> None:
    """As they are predicted from the photo itself, without the cache."""
    photos = Sources(data).training
    targets = np.load(run / "targets.npy")
    for index, photo in enumerate(photos[:6]):
        held_out = fold(photo.path.name, 2)
        parts = [
            open_predictor(run / "teachers" / f"{name}-{held_out}.safetensors")(photo.pixels())
            for name in ("efficientnet_lite0", "mobilenet_v2")
        ]
        assert np.allclose(targets[index], 0.75 * parts[0] + 0.25 * parts[1], atol=2e-3)


def test_the_criteria_are_compared(run: Path, data: Path, command: Command) -> None:
    subprocess.run(command(data, run, module="training.experiments.criteria"), cwd=ROOT, check=True)
    results = json.loads((run / "ablation.json").read_text())
    assert set(results) == {"distilled", *CRITERIA}
    assert all(
        result["milliseconds"] <= 0.34 for name, result in results.items() if name != "distilled"
    )
    plot = run / "curve.png"
    drawing = [sys.executable, "-m", "training.experiments.plots", str(run), "--out", str(plot)]
    subprocess.run(drawing, cwd=ROOT, check=True)
    assert plot.stat().st_size > 10_000
