"""The configurations hold together, read as Triton reads them."""

from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.embedded import MODEL_REPOSITORY

ELEMENT_TYPES = {
    onnx.TensorProto.UINT8: model_config_pb2.TYPE_UINT8,
    onnx.TensorProto.INT32: model_config_pb2.TYPE_INT32,
    onnx.TensorProto.FLOAT: model_config_pb2.TYPE_FP32,
}


def config(model: str) -> ModelConfig:
    return text_format.Parse((MODEL_REPOSITORY / model / "config.pbtxt").read_text(), ModelConfig())


def tensors(*groups: object) -> dict[str, tuple[int, list[int]]]:
    return {t.name: (t.data_type, list(t.dims)) for group in groups for t in group}  # type: ignore[attr-defined]


def test_the_student_is_configured_as_its_graph() -> None:
    graph = onnx.load(MODEL_REPOSITORY / "student" / "1" / "model.onnx").graph
    declared = {
        value.name: (
            ELEMENT_TYPES[value.type.tensor_type.elem_type],
            [dim.dim_value for dim in value.type.tensor_type.shape.dim][1:],
        )
        for value in (*graph.input, *graph.output)
    }
    assert all(value.type.tensor_type.shape.dim[0].dim_param for value in graph.input)
    assert tensors(config("student").input, config("student").output) == declared


def test_the_steps_of_the_ensemble_fit_together() -> None:
    ensemble = config("saliency")
    known = tensors(ensemble.input)
    for step in ensemble.ensemble_scheduling.step:
        model = config(step.model_name)
        assert model.max_batch_size == ensemble.max_batch_size
        inputs, outputs = tensors(model.input), tensors(model.output)
        assert set(step.input_map) == set(inputs)
        for name, source in step.input_map.items():
            assert inputs[name] == known[source]
        known |= {target: outputs[name] for name, target in step.output_map.items()}
    for name, described in tensors(ensemble.output).items():
        assert known[name] == described


@pytest.mark.parametrize("model", ["preprocess", "student"])
def test_steps_batch_warm_up_and_name_their_instances(model: str) -> None:
    step = config(model)
    assert step.HasField("dynamic_batching")
    assert step.instance_group[0].count > 0
    assert step.model_warmup
    assert step.dynamic_batching.max_queue_delay_microseconds == 0  # it would delay lone requests


def test_warm_up_data_is_there() -> None:
    for warmup in config("preprocess").model_warmup:
        for sample in warmup.inputs.values():
            assert Path(MODEL_REPOSITORY, "preprocess", "warmup", sample.input_data_file).is_file()
