"""Two versions of the network side by side: who answered, and who is insisted on."""

import shutil
from pathlib import Path

import gazecrop
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from server.embedded import MODEL_REPOSITORY
from tests.conftest import serving

OTHER = "0123456789ab"


def another_version(folder: Path, shipped: str) -> Path:
    """The models with a network of slightly larger first weights, and a name for it."""
    copy = shutil.copytree(MODEL_REPOSITORY, folder / "models")
    config = copy / "preprocess" / "config.pbtxt"
    config.write_text(config.read_text("utf-8").replace(shipped, OTHER), "utf-8")
    network = copy / "student" / "1"
    graph = onnx.load(network / "model.onnx")
    first = next(each for each in graph.graph.initializer if len(each.dims) == 4)
    first.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(first) * np.float32(1.05), first.name)
    )
    for name in ("model.onnx", "model.int8.onnx"):
        onnx.save(graph, network / name)
    return copy


def test_two_versions_side_by_side(
    grpc: str, client: gazecrop.Client, photo: Path, tmp_path: Path
) -> None:
    ours = client.predict(photo)
    assert ours.model is not None
    with serving(tmp_path, model_repository=another_version(tmp_path, ours.model)) as address:
        theirs = f"{address.host}:{address.grpc}"
        with gazecrop.Client([grpc, theirs], timeout=20) as both:
            told = {saliency.model: saliency for saliency in both.predict_many([photo] * 16)}
        assert set(told) == {ours.model, OTHER}
        apart = {model: np.abs(each.density - ours.density).sum() for model, each in told.items()}
        assert apart[ours.model] < 1e-3 < apart[OTHER] < 0.2
        with gazecrop.Client(theirs, model=OTHER) as strict:
            assert strict.predict(photo).model == OTHER
    with (
        gazecrop.Client(grpc, model=OTHER) as strict,
        pytest.raises(gazecrop.ServerFailed, match=f"the network {ours.model}, not {OTHER}"),
    ):
        strict.predict(photo)
