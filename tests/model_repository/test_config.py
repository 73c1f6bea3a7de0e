"""The configurations hold together, read as Triton reads them.

There are two sets: config.pbtxt, and with `--model-config-name=gpu` those in configs/gpu.pbtxt,
of each model that has one.
"""

import hashlib
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.tensorrt.plan import MAX_BATCH, PLAN
from server.embedded import MODEL_REPOSITORY

ELEMENT_TYPES = {
    onnx.TensorProto.UINT8: model_config_pb2.TYPE_UINT8,
    onnx.TensorProto.INT32: model_config_pb2.TYPE_INT32,
    onnx.TensorProto.FLOAT: model_config_pb2.TYPE_FP32,
}


CHECKPOINT = MODEL_REPOSITORY.parent / "training" / "checkpoints" / "student.safetensors"
SETS = pytest.mark.parametrize("name", ["", "gpu"])


def config(model: str, name: str = "") -> ModelConfig:
    """What Triton reads with `--model-config-name` of that name."""
    path = MODEL_REPOSITORY / model / "configs" / f"{name}.pbtxt"
    if not path.is_file():
        path = MODEL_REPOSITORY / model / "config.pbtxt"
    return text_format.Parse(path.read_text("utf-8"), ModelConfig())


def tensors(*groups: object) -> dict[str, tuple[int, list[int]]]:
    return {t.name: (t.data_type, list(t.dims)) for group in groups for t in group}  # type: ignore[attr-defined]


def test_every_configuration_is_of_a_known_set() -> None:
    found = {path.stem for path in MODEL_REPOSITORY.glob("*/**/*.pbtxt")}
    assert found == {"config", "gpu"}


@SETS
def test_the_student_is_configured_as_its_graph(name: str) -> None:
    graph = onnx.load(MODEL_REPOSITORY / "student" / "1" / "model.onnx").graph
    declared = {
        value.name: (
            ELEMENT_TYPES[value.type.tensor_type.elem_type],
            [dim.dim_value for dim in value.type.tensor_type.shape.dim][1:],
        )
        for value in (*graph.input, *graph.output)
    }
    assert all(value.type.tensor_type.shape.dim[0].dim_param for value in graph.input)
    student = config("student", name)
    assert tensors(student.input, student.output) == declared


@SETS
@pytest.mark.parametrize("model", ["saliency", "crops"])
def test_the_steps_of_an_ensemble_fit_together(model: str, name: str) -> None:
    ensemble = config(model, name)
    known = tensors(ensemble.input)
    for step in ensemble.ensemble_scheduling.step:
        part = config(step.model_name, name)
        assert part.max_batch_size >= ensemble.max_batch_size
        inputs, outputs = tensors(part.input), tensors(part.output)
        assert set(step.input_map) == set(inputs)
        for name, source in step.input_map.items():
            assert inputs[name] == known[source]
        known |= {target: outputs[name] for name, target in step.output_map.items()}
    for name, described in tensors(ensemble.output).items():
        assert known[name] == described


@SETS
def test_answers_name_the_network_by_its_checkpoint(name: str) -> None:
    digest = hashlib.sha256(CHECKPOINT.read_bytes()).hexdigest()
    assert config("preprocess", name).parameters["student"].string_value == digest[:12]


@SETS
@pytest.mark.parametrize("model", ["preprocess", "student"])
def test_steps_batch_warm_up_and_name_their_instances(model: str, name: str) -> None:
    step = config(model, name)
    assert step.HasField("dynamic_batching")
    assert step.instance_group[0].count > 0
    assert step.model_warmup
    assert step.dynamic_batching.max_queue_delay_microseconds == 0  # it would delay lone requests


@SETS
def test_warm_up_data_is_there(name: str) -> None:
    for warmup in config("preprocess", name).model_warmup:
        for sample in warmup.inputs.values():
            assert Path(MODEL_REPOSITORY, "preprocess", "warmup", sample.input_data_file).is_file()


def test_crops_has_the_outputs_of_saliency_and_the_options_of_its_step() -> None:
    crops, saliency, windows = config("crops"), config("saliency"), config("windows")
    assert tensors(saliency.output).items() < tensors(crops.output).items()
    optional = [
        {tensor.name for tensor in model.input if tensor.optional} for model in (crops, windows)
    ]
    assert optional[0] == optional[1] == set(tensors(crops.input)) - {"IMAGE", "RATIOS"}


def test_both_sets_promise_the_same() -> None:
    for model in ("preprocess", "student"):
        cpu, gpu = config(model), config(model, "gpu")
        assert tensors(cpu.input, cpu.output) == tensors(gpu.input, gpu.output)


def test_both_sets_refuse_alike_what_would_wait_too_long() -> None:
    cpu, gpu = (
        config("preprocess", name).dynamic_batching.default_queue_policy for name in ("", "gpu")
    )
    assert gpu.max_queue_size >= cpu.max_queue_size
    for policy in (cpu, gpu):
        policy.ClearField("max_queue_size")
    assert cpu == gpu


@SETS
def test_warm_up_is_of_the_inputs_and_within_the_batch(name: str) -> None:
    for model in ("preprocess", "student"):
        step = config(model, name)
        for warmup in step.model_warmup:
            samples = {key: (v.data_type, list(v.dims)) for key, v in warmup.inputs.items()}
            assert samples == tensors(step.input)
            assert 1 <= warmup.batch_size <= step.max_batch_size


def test_gpus_run_the_plan_that_the_export_writes() -> None:
    student = config("student", "gpu")
    assert student.backend == "tensorrt"
    assert student.default_model_filename == PLAN.name
    assert PLAN.parent == MODEL_REPOSITORY / "student" / "1"
    assert student.max_batch_size == MAX_BATCH
    assert [group.kind for group in student.instance_group] == [
        model_config_pb2.ModelInstanceGroup.KIND_GPU
    ]
    assert not student.instance_group[0].gpus  # all of them
