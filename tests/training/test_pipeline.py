"""The whole recipe, tiny: from gaze data to a student, interrupted and resumed."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.samples import write_set
from training import __main__
from training.data.fixations import read_fixation_set, split
from training.evaluation.evaluate import mean_nss
from training.networks import student
from training.networks.cost import macs
from training.networks.criteria import CRITERIA
from training.networks.predictors import FramedNetwork, open_predictor
from training.stages.ensemble import mixture_weights

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


def command(data: Path, run: Path, *more: str, module: str = "training") -> list[str]:
    arguments = ["--data", str(data), "--out", str(run), "--recipe", str(RECIPE), *more]
    return [sys.executable, "-m", module, *arguments]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which was killed in the middle of three of its stages."""
    run = tmp_path_factory.mktemp("run")
    for stage, sign in (
        ("teachers", "teacher-0/log.jsonl"),
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
    weights = [member["weight"] for member in json.loads((run / "ensemble.json").read_text())]
    assert len(weights) == 2
    assert sum(weights) == pytest.approx(1, abs=1e-3)
    targets = np.load(run / "targets.npy")
    assert np.allclose(targets.sum(axis=(1, 2)), 1, atol=1e-4)
    curve = [json.loads(line) for line in (run / "pruned/curve.jsonl").open()]
    costs = [point["gmac"] for point in curve]
    assert min(costs) <= 0.015 < max(costs)


def test_a_stage_that_is_done_changes_nothing(run: Path, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    subprocess.run(command(data, run, "pruning", "finetuning"), cwd=ROOT, check=True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["polishing"], "no stage is called polishing; there are teachers, ensemble"),
        (["--member", "none.onnx"], "none.onnx does not exist"),
        (["--imagenet", "none.safetensors"], "none.safetensors does not exist"),
        (["--recipe", "none.toml"], "none.toml"),
    ],
)
def test_mistakes_are_named_before_any_work(
    more: list[str],
    message: str,
    data: Path,
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
    assert macs(network.sizes) <= 0.015e9
    widths = [(block.hidden, block.out) for block in network.sizes.blocks]
    assert all(hidden % 8 == 0 and out % 8 == 0 for hidden, out in widths)
    validation = split(read_fixation_set(data / "squares"))[1]
    assert mean_nss(FramedNetwork(network), validation) > 0.3  # 0 is chance


def test_the_ensemble_predicts_like_any_network(run: Path, data: Path) -> None:
    photo = split(read_fixation_set(data / "squares"))[1][0].pixels()
    density = open_predictor(run / "ensemble.json")(photo)
    assert density.sum() == pytest.approx(1, abs=1e-4)


def test_targets_of_other_photos_are_refused(run: Path, data: Path, tmp_path: Path) -> None:
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


def test_two_processes_learn_together(data: Path, tmp_path: Path) -> None:
    """As by torchrun on many devices: both ranks hold the same network in the end."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    arguments = command(data, tmp_path / "run", "teachers", "--devices", "2")[1:]
    subprocess.run([*torchrun, *arguments], cwd=ROOT, check=True, capture_output=True, timeout=600)
    assert (tmp_path / "run" / "teacher-1" / "teacher.safetensors").exists()
    state = torch.load(tmp_path / "run/teacher-0/state.ckpt", weights_only=True)
    assert state["step"] == 12


def test_the_mixture_prefers_the_better_predictor() -> None:
    random = np.random.default_rng(0)
    human = random.dirichlet(np.ones(16) * 0.2, 50).reshape(50, 4, 4)
    good = 0.8 * human + 0.2 / 16
    poor = random.dirichlet(np.ones(16), 50).reshape(50, 4, 4)
    weights = mixture_weights(np.stack([poor, good]), human)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.9


def test_the_criteria_are_compared(run: Path, data: Path) -> None:
    subprocess.run(command(data, run, module="training.experiments.criteria"), cwd=ROOT, check=True)
    results = json.loads((run / "ablation.json").read_text())
    assert set(results) == {"distilled", *CRITERIA}
    assert all(result["gmac"] <= 0.017 for name, result in results.items() if name != "distilled")
    plot = run / "curve.png"
    drawing = [sys.executable, "-m", "training.experiments.plots", str(run), "--out", str(plot)]
    subprocess.run(drawing, cwd=ROOT, check=True)
    assert plot.stat().st_size > 10_000
