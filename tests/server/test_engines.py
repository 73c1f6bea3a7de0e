"""What `config.pbtxt` says is what the engines do, without Triton."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from export.parity import canvas_of, sample_batch
from perf.instruments.served import NETWORK, NETWORK_FOLDER, config
from server.backends.onnxruntime import engines
from server.backends.onnxruntime.engines import OnnxRuntime, OpenVino, model_file, open_network

INT8 = {"default_model_filename": "model.int8.onnx"}


def test_the_served_network_runs_on_openvino_as_on_onnxruntime_in_a_batch() -> None:
    served = config(NETWORK) | {"default_model_filename": "model.onnx"}
    pixels, extent = sample_batch(canvas_of(onnx.load(NETWORK_FOLDER / "model.onnx")))
    inputs = {"PIXELS": pixels, "EXTENT": extent}
    networks = open_network(NETWORK_FOLDER, served), open_network(NETWORK_FOLDER, {})
    assert [type(network) for network in networks] == [OpenVino, OnnxRuntime]
    density, integrity = zip(
        *(network.run(inputs, ["DENSITY", "INTEGRITY"]) for network in networks), strict=True
    )
    assert len(density[0]) == len(pixels) > 1
    assert np.abs(density[0] - density[1]).max() * density[0][0].size < 1e-2
    assert np.abs(integrity[0] - integrity[1]).max() < 1e-2


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"avx2", "avx512_vnni"}, "model.int8.onnx"),
        ({"avx_vnni"}, "model.int8.onnx"),
        ({"asimddp"}, "model.int8.onnx"),
        ({"avx2"}, "model.onnx"),
    ],
)
def test_integers_are_for_processors_that_are_fast_with_them(
    flags: set[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_cpu_flags", lambda: flags)
    assert model_file(NETWORK_FOLDER, INT8) == NETWORK_FOLDER / name
    assert model_file(NETWORK_FOLDER, {}) == NETWORK_FOLDER / "model.onnx"


def test_without_a_network_of_floats_the_integers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_cpu_flags", set)
    assert model_file(tmp_path, INT8) == tmp_path / "model.int8.onnx"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.onnx does not exist"):
        open_network(tmp_path, {})


def test_a_parameter_that_is_no_number_is_named() -> None:
    wrong = {"parameters": {"intra_op_thread_count": {"string_value": "two"}}}
    with pytest.raises(ValueError, match="intra_op_thread_count is a whole number, not 'two'"):
        open_network(NETWORK_FOLDER, wrong)
