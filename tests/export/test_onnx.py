from pathlib import Path

import onnx
import pytest
import torch

from export.onnx import (
    TOLERANCE,
    export,
    largest_deviation,
    to_onnx,
    without_idle_projections,
)
from export.parity import MODEL, ExportError
from training.evaluation.evaluate import CHECKPOINT
from training.networks import student


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return to_onnx(student.load(CHECKPOINT))


def test_the_committed_graph_is_the_export_of_the_committed_checkpoint(
    graph: onnx.ModelProto,
) -> None:
    committed = onnx.load(MODEL)
    assert committed.graph == graph.graph
    assert largest_deviation(student.load(CHECKPOINT), MODEL) <= TOLERANCE / 10


@pytest.mark.parametrize("hidden", [16, 48])
def test_projections_that_only_feed_an_expansion_are_part_of_it(hidden: int) -> None:
    """Unless two steps cost less: 48 → 4 → 24 maps takes less than 48 → 24."""
    torch.manual_seed(0)
    blocks = (
        student.BlockSizes(hidden=hidden, out=16 if hidden == 16 else 4, stride=1, residual=False),
        student.BlockSizes(hidden=24, out=8, stride=2, residual=False),
        student.BlockSizes(hidden=16, out=8, stride=1, residual=True),
        student.BlockSizes(hidden=16, out=16, stride=2, residual=False),
    )
    sizes = student.StudentSizes(canvas=64, grid=8, stem=8, blocks=blocks, taps=(2, 4), prior=2)
    network = student.Student(sizes).eval()
    merged = without_idle_projections(network)
    idle = [name for name, block in merged.features.block.items() if not block.project.state_dict()]
    assert idle == (["1"] if hidden == 16 else [])
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(merged.scores(picture), network.scores(picture), atol=1e-5)


def test_a_graph_that_deviates_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto
) -> None:
    other = student.load(CHECKPOINT)
    with torch.no_grad():
        other.readout.score.weight.mul_(1.1)
    student.save(other, tmp_path / "other.safetensors")
    monkeypatch.setattr("export.onnx.to_onnx", lambda network: graph)
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the previous one")
    with pytest.raises(ExportError, match="deviates"):
        export(tmp_path / "other.safetensors", out)
    assert out.read_bytes() == b"the previous one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "other.safetensors"]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    import safetensors.torch

    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a student's checkpoint"):
        export(path, tmp_path / "model.onnx")
