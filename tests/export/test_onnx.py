import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

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

ROUNDING = 1e-5  # of a tensor's largest value


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return to_onnx(student.load(CHECKPOINT))


def test_the_committed_graph_is_the_export_of_the_committed_checkpoint(
    graph: onnx.ModelProto,
) -> None:
    assert differences(onnx.load(MODEL).graph, graph.graph) == []
    assert largest_deviation(student.load(CHECKPOINT), MODEL) <= TOLERANCE / 10


def differences(one: onnx.GraphProto, other: onnx.GraphProto) -> list[str]:
    """What two graphs do not have in common, but for the rounding of merged weights.

    A merged weight is a matrix product, whose last bits depend on the processor.
    """
    skeletons = [onnx.GraphProto.FromString(graph.SerializeToString()) for graph in (one, other)]
    for skeleton in skeletons:
        for constant in skeleton.initializer:
            constant.ClearField("raw_data")
    found = []
    if skeletons[0] != skeletons[1]:
        found.append("nodes, names, types or shapes")
    for ours, theirs in zip(one.initializer, other.initializer, strict=False):
        left, right = numpy_helper.to_array(ours), numpy_helper.to_array(theirs)
        if left.shape != right.shape or np.abs(left - right).max() > ROUNDING * np.abs(left).max():
            found.append(ours.name)
    return found


def test_another_graph_is_told_apart(graph: onnx.ModelProto) -> None:
    """Any tensor of weights that is rounded to half precision, any name, any count of nodes."""
    for number, constant in enumerate(graph.graph.initializer):
        weights = numpy_helper.to_array(constant)
        if weights.ndim < 2:
            continue
        changed = copy.deepcopy(graph.graph)
        rounded = weights.astype(np.float16).astype(np.float32)
        changed.initializer[number].raw_data = rounded.tobytes()
        assert differences(changed, graph.graph) == [constant.name]
    renamed, shorter = copy.deepcopy(graph.graph), copy.deepcopy(graph.graph)
    renamed.node[3].name = "other"
    del shorter.node[-1]
    for changed in (renamed, shorter):
        assert differences(changed, graph.graph) == ["nodes, names, types or shapes"]


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
