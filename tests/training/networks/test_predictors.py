import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.training.samples import TINY, TINY_TEACHER
from training.networks import student, teacher
from training.networks.predictors import GRID, Ensemble, open_predictor

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def graph(side: int | str, path: Path) -> Path:
    """A network whose map is its input's first channel, averaged over 16×16 pixels."""
    shape = [1, 3, side, side] if isinstance(side, int) else ["N", 3, "H", "W"]
    nodes = [
        helper.make_node(
            "AveragePool", ["in"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Split", ["pooled"], ["out", "b", "c"], axis=1, num_outputs=3),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "mean",
            [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.save(model, path)
    return path


def checkpoints(folder: Path) -> list[Path]:
    student.save(student.Student(TINY), folder / "student.safetensors")
    teacher.save(teacher.Teacher("mobilenet_v2", TINY_TEACHER), folder / "teacher.safetensors")
    members = [
        {"file": "student.safetensors", "weight": 0.3},
        {"file": "teacher.safetensors", "weight": 0.7},
    ]
    (folder / "ensemble.json").write_text(json.dumps(members))
    names = ("student.safetensors", "teacher.safetensors", "ensemble.json")
    return [
        *(folder / name for name in names),
        graph(64, folder / "fixed.onnx"),
        graph("any", folder / "free.onnx"),
    ]


def test_every_kind_of_file_predicts_a_density(tmp_path: Path) -> None:
    for path in checkpoints(tmp_path):
        density = open_predictor(path)(PHOTO)
        assert density.ndim == 2
        assert density.dtype == np.float32
        assert (density >= 0).all()
        assert density.sum() == pytest.approx(1, abs=1e-4), path.name


def test_a_teacher_is_rebuilt_from_its_file(tmp_path: Path) -> None:
    network = teacher.Teacher("mobilenet_v2", TINY_TEACHER).eval()
    teacher.save(network, tmp_path / "teacher.safetensors")
    rebuilt = teacher.load(tmp_path / "teacher.safetensors")
    assert (rebuilt.backbone, rebuilt.sizes) == ("mobilenet_v2", TINY_TEACHER)
    student.save(student.Student(TINY), tmp_path / "student.safetensors")
    with pytest.raises(ValueError, match="not a teacher's checkpoint"):
        teacher.load(tmp_path / "student.safetensors")


def test_an_ensemble_is_the_weighted_mean() -> None:
    left = np.zeros((GRID, GRID), np.float32)
    left[:, 0] = 1 / GRID
    right = left[:, ::-1]
    density = Ensemble([lambda photo: left, lambda photo: right], [0.25, 0.75])(PHOTO)
    assert density[:, 0].sum() == pytest.approx(0.25)
    assert density[:, -1].sum() == pytest.approx(0.75)


@pytest.mark.parametrize(("name", "error"), [("no.onnx", FileNotFoundError), ("a.txt", ValueError)])
def test_what_predicts_nothing_is_refused(
    tmp_path: Path, name: str, error: type[Exception]
) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(error, match=name):
        open_predictor(tmp_path / name)
