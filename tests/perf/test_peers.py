import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from perf import peers
from perf.network import measure as measure_networks
from perf.network import student_files
from perf.photos import jpeg
from perf.timing import medians, throughput
from tests.conftest import encode


@pytest.fixture(scope="session")
def twitter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in with the inputs and outputs of Twitter's: a cell scores by its brightness."""
    nodes = [
        helper.make_node(
            "AveragePool", ["rgb"], ["means"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("ReduceMean", ["means"], ["scores"], axes=[1]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 1, "h", "w"])],
    )
    file = tmp_path_factory.mktemp("twitter") / "brightness.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, file)
    return file


@pytest.mark.parametrize("name", peers.names(Path("anything")))
@pytest.mark.parametrize("size", [(1200, 800), (803, 1207), (640, 640)])
def test_windows_are_the_largest_squares_inside_the_photo(
    name: str, size: tuple[int, int], twitter: Path
) -> None:
    with Image.open(io.BytesIO(jpeg(0.3))) as photo:
        upload = encode(photo.resize(size))
    window = peers.open_cropper(name, twitter)(upload)
    assert window.width == window.height == min(size)
    assert 0 <= window.left <= size[0] - window.width
    assert 0 <= window.top <= size[1] - window.height


@pytest.mark.parametrize("name", [name for name in peers.names(Path()) if name != peers.FACE])
@pytest.mark.parametrize("left", [100, 1450])
def test_windows_go_where_the_only_thing_is(
    name: str, left: int, twitter: Path, astronaut: NDArray[np.uint8]
) -> None:
    """A portrait on one side of a wide, empty background."""
    scene = Image.new("RGB", (2000, 600), (30, 32, 34))
    scene.paste(Image.fromarray(astronaut[0:450, 50:500]), (left, 80))
    window = peers.open_cropper(name, twitter)(encode(scene))
    assert (window.left + window.right) / 2 == pytest.approx(left + 225, abs=260)


def test_the_face_detector_finds_the_face(astronaut: NDArray[np.uint8]) -> None:
    scene = Image.new("RGB", (1800, 600), (120, 130, 140))
    scene.paste(Image.fromarray(astronaut), (1250, 40))
    window = peers.open_cropper(peers.FACE)(encode(scene, quality=95))
    assert window.left < 1250 + 180
    assert window.right > 1250 + 270


def test_twitters_tool_is_measured_where_its_network_is_given(twitter: Path) -> None:
    assert peers.TWITTER not in peers.names(None)
    taken = measure_networks(student_files() | {"bright": twitter}, "openvino", seconds=0.1)
    assert taken["student"] > 0
    assert taken["bright"] > 0


def test_jobs_take_turns() -> None:
    order: list[str] = []
    taken = medians({name: lambda name=name: order.append(name) for name in "ab"}, 0.001)
    assert taken.keys() == {"a", "b"}
    assert "".join(order[6:30]) == ("a" * 6 + "b" * 6) * 2


def test_processes_run_at_once() -> None:
    assert throughput(_prepare_nap, 0.5, processes=3) == pytest.approx(3 / 0.05, rel=0.4)


def _prepare_nap() -> object:
    import time

    return lambda: time.sleep(0.05)
