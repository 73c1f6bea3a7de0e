"""Our `onnxruntime` backend reads the native one's configuration."""

import shutil
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton

from export.parity import MODEL, canvas_of, sample_batch
from tests.conftest import serving

TRITON_TYPES = {
    onnx.TensorProto.UINT8: "UINT8",
    onnx.TensorProto.INT32: "INT32",
    onnx.TensorProto.FLOAT: "FP32",
}
CONFIGS = {
    "openvino": """
        optimization {
          execution_accelerators { cpu_execution_accelerator [ { name: "openvino" } ] }
        }
        parameters { key: "intra_op_thread_count" value { string_value: "1" } }
    """,
    "threads": """
        parameters { key: "intra_op_thread_count" value { string_value: "2" } }
        parameters { key: "inter_op_thread_count" value { string_value: "2" } }
        parameters { key: "execution_mode" value { string_value: "1" } }
    """,
    "basic": "optimization { graph { level: -1 } }",
    "plain": "",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    folder = tmp_path_factory.mktemp("a backend")
    for name, settings in CONFIGS.items():
        version = folder / "models" / name / "1"
        version.mkdir(parents=True)
        shutil.copy(MODEL, version)
        version.with_name("config.pbtxt").write_text(
            f'backend: "onnxruntime" max_batch_size: 8 {settings}'
        )
    with serving(folder, model_repository=folder / "models") as address:
        yield triton.InferenceServerClient(f"127.0.0.1:{address.grpc}")


def test_engines_and_settings_agree(server: triton.InferenceServerClient) -> None:
    pixels, extent = sample_batch(canvas_of(onnx.load(MODEL)))
    inputs = [
        triton.InferInput("PIXELS", list(pixels.shape), "UINT8"),
        triton.InferInput("EXTENT", list(extent.shape), "INT32"),
    ]
    inputs[0].set_data_from_numpy(pixels)
    inputs[1].set_data_from_numpy(extent)
    densities = {name: server.infer(name, inputs).as_numpy("DENSITY") for name in CONFIGS}
    for name, density in densities.items():
        assert np.abs(density - densities["plain"]).max() * density[0].size < 1e-2, name


def test_inputs_and_outputs_are_completed_from_the_graph(
    server: triton.InferenceServerClient,
) -> None:
    metadata = server.get_model_metadata("plain")
    described = {t.name: (t.datatype, list(t.shape)) for t in (*metadata.inputs, *metadata.outputs)}
    graph = onnx.load(MODEL).graph
    assert described == {
        value.name: (
            TRITON_TYPES[value.type.tensor_type.elem_type],
            [-1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])],
        )
        for value in (*graph.input, *graph.output)
    }
