import re
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.embedded import MODEL_REPOSITORY
from server.instances import UPLOAD, Instances, read, suited_to, usable_cores, with_instances


def config(model: str, repository: Path) -> ModelConfig:
    return text_format.Parse(
        (repository / model / "config.pbtxt").read_text("utf-8"), ModelConfig()
    )


def test_the_shipped_configuration_suits_two_cores() -> None:
    preprocess, student, windows = (
        config(model, MODEL_REPOSITORY) for model in ("preprocess", "student", "windows")
    )
    assert suited_to(2) == Instances(
        preprocess.instance_group[0].count,
        student.instance_group[0].count,
        windows.instance_group[0].count,
        preprocess.dynamic_batching.default_queue_policy.max_queue_size,
    )


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8, 64])
def test_more_decoders_than_cores_and_a_network_for_each(cores: int) -> None:
    suited = suited_to(cores)
    assert suited.preprocess == cores + 1
    assert suited.student == cores
    assert suited.windows >= 2
    assert cores <= 4 * suited.windows < max(cores, 8) + 4
    assert suited.queue == cores * suited_to(1).queue


def test_a_copy_says_nothing_else(tmp_path: Path) -> None:
    copy = with_instances(MODEL_REPOSITORY, tmp_path, Instances(7, 3, 2, 500))
    for model, count in {"preprocess": 7, "student": 3, "windows": 2}.items():
        theirs, ours = config(model, copy), config(model, MODEL_REPOSITORY)
        assert [group.count for group in theirs.instance_group] == [1] * count
        assert len({group.rate_limiter.priority for group in theirs.instance_group}) == count
        assert theirs.max_batch_size == Instances(7, 3, 2, 500).photos <= ours.max_batch_size
        theirs.max_batch_size = ours.max_batch_size
        del theirs.instance_group[:]
        theirs.instance_group.extend(ours.instance_group)
        if model == "preprocess":
            queue = theirs.dynamic_batching.default_queue_policy
            assert queue.max_queue_size == 500
            queue.max_queue_size = ours.dynamic_batching.default_queue_policy.max_queue_size
        assert theirs == ours
    files = {file.relative_to(MODEL_REPOSITORY) for file in MODEL_REPOSITORY.rglob("*.onnx")}
    assert files <= {file.relative_to(copy) for file in copy.rglob("*.onnx")}


@pytest.mark.parametrize("cores", [1, 2, 4, 16])
@pytest.mark.parametrize("room", [64, 256, 1024, 4096])
def test_what_is_served_fits_into_shared_memory(cores: int, room: int, tmp_path: Path) -> None:
    suited = suited_to(cores, room * 2**20)
    assert suited.shared_memory() <= room * 2**20 or (suited.photos, suited.preprocess) == (1, 1)
    assert suited_to(cores, 2**40) == suited_to(cores)
    copy = with_instances(MODEL_REPOSITORY, tmp_path, suited)
    assert config("saliency", copy).max_batch_size == suited.photos
    assert all(
        size <= suited.photos
        for size in config("preprocess", copy).dynamic_batching.preferred_batch_size
    )


def test_the_largest_upload_is_that_of_the_decoder() -> None:
    source = (MODEL_REPOSITORY / "preprocess" / "1" / "photo.py").read_text("utf-8")
    [bound] = re.findall(r"^MAX_BYTES = (.*)$", source, re.MULTILINE)
    assert eval(bound) == UPLOAD


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 64), ("150000 100000", 2), ("6400000 100000", 64)]
)
def test_cores_within_the_containers_quota(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)))
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores(tmp_path / "cpu.max") == cores
    assert usable_cores(tmp_path / "absent") == 64


def test_the_ensemble_uses_a_cache_only_where_there_is_one(tmp_path: Path) -> None:
    for cached in (False, True):
        copy = with_instances(MODEL_REPOSITORY, tmp_path / str(cached), suited_to(2), cached)
        assert config("saliency", copy).response_cache.enable is cached
    assert not config("saliency", MODEL_REPOSITORY).response_cache.enable


@pytest.mark.parametrize("cores", [2, 8, 64])
def test_what_runs_on_a_gpu_keeps_its_number(cores: int, tmp_path: Path) -> None:
    suited = suited_to(cores)
    copy = with_instances(MODEL_REPOSITORY, tmp_path, suited, name="gpu")
    for model in ("preprocess", "student"):
        ours, theirs = (read(folder / model, "gpu") for folder in (MODEL_REPOSITORY, copy))
        assert theirs.instance_group == ours.instance_group
        assert config(model, copy) == config(model, MODEL_REPOSITORY)
    assert len(read(copy / "windows", "gpu").instance_group) == suited.windows
