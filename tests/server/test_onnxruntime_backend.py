"""Our `onnxruntime` backend reads the native one's configuration."""

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton

from export.parity import sample_batch
from server import embedded
from tests.conftest import free_address

STUDENT = embedded.MODEL_REPOSITORY / "student" / "1" / "model.onnx"
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
    folder = tmp_path_factory.mktemp("backend")
    for name, settings in CONFIGS.items():
        version = folder / "models" / name / "1"
        version.mkdir(parents=True)
        shutil.copy(STUDENT, version)
        version.with_name("config.pbtxt").write_text(
            f'backend: "onnxruntime" max_batch_size: 8 {settings}'
        )
    address = free_address()
    with (folder / "log").open("w") as log, embedded.run(address, folder / "models", log=log):
        yield triton.InferenceServerClient(f"127.0.0.1:{address.grpc}")


def test_engines_and_settings_agree(server: triton.InferenceServerClient) -> None:
    pixels, extent = sample_batch(256)
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
    assert described == {
        "PIXELS": ("UINT8", [-1, 256, 256, 3]),
        "EXTENT": ("INT32", [-1, 2]),
        "DENSITY": ("FP32", [-1, 32, 32]),
    }
