import io
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from perf.croppers import (
    ATTENTION,
    FACE,
    GAZECROP,
    SMARTCROP,
    TWITTER,
    Cropper,
    names,
    open_cropper,
    size_of,
)
from perf.instruments.photos import jpeg
from perf.measurements import network, speed
from tests.conftest import encode
from training.evaluation.retention import RATIOS, Window, centre_window, largest_size

ALL = names(Path("anything"))
FACE_IN_ASTRONAUT = (slice(40, 190), slice(150, 300))  # rows, columns


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


@pytest.fixture(scope="module")
def opened(twitter: Path) -> dict[str, Cropper]:
    return {name: open_cropper(name, twitter) for name in ALL}


def scene(size: tuple[int, int], left: int, top: int, thing: NDArray[np.uint8]) -> bytes:
    """A grey photo with one thing in it."""
    photo = Image.new("RGB", size, (90, 90, 90))
    photo.paste(Image.fromarray(thing), (left, top))
    return encode(photo, quality=95)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(1200, 800), (803, 1207), (640, 640), (320, 180)])
def test_windows_are_the_largest_of_their_ratio_and_lie_in_the_photo(
    name: str, size: tuple[int, int], opened: dict[str, Cropper]
) -> None:
    with Image.open(io.BytesIO(jpeg(0.3))) as photo:
        upload = encode(photo.resize(size))
    for ratio in RATIOS.values():
        window = opened[name](upload, ratio)
        assert (window.width, window.height) == pytest.approx(largest_size(size, ratio), abs=1)
        assert 0 <= window.left <= size[0] - window.width
        assert 0 <= window.top <= size[1] - window.height


@pytest.mark.parametrize("name", [name for name in ALL if name != FACE])
@pytest.mark.parametrize("offset", [100, 1450])
@pytest.mark.parametrize("upright", [False, True])
def test_windows_go_where_the_only_thing_is(
    name: str,
    offset: int,
    upright: bool,
    opened: dict[str, Cropper],
    astronaut: NDArray[np.uint8],
) -> None:
    """A portrait on one side of a wide, or high, and empty background."""
    size, place = ((600, 2000), (80, offset)) if upright else ((2000, 600), (offset, 80))
    window = opened[name](scene(size, *place, astronaut[0:450, 50:500]), 1.0)
    start = window.top if upright else window.left
    assert start + 300 == pytest.approx(offset + 225, abs=260)


@pytest.mark.parametrize("name", [name for name in ALL if name != FACE])
def test_wide_windows_move_down_to_the_only_thing(
    name: str, opened: dict[str, Cropper], astronaut: NDArray[np.uint8]
) -> None:
    window = opened[name](scene((900, 1800), 200, 1300, astronaut[0:450, 50:500]), 16 / 9)
    assert window.left == 0
    assert window.top + window.height / 2 == pytest.approx(1300 + 225, abs=230)


@pytest.mark.parametrize("left", [0, 130, 250])
def test_the_face_is_in_the_middle_unless_the_edge_is_near(
    left: int, opened: dict[str, Cropper], astronaut: NDArray[np.uint8]
) -> None:
    window = opened[FACE](scene((400, 200), left, 20, astronaut[FACE_IN_ASTRONAUT]), 1.0)
    middle = left + 75  # of the face
    assert window.left == pytest.approx(np.clip(middle - 100, 0, 200), abs=8)
    assert (window.top, window.height) == (0, 200)


def test_the_largest_face_wins(opened: dict[str, Cropper], astronaut: NDArray[np.uint8]) -> None:
    face = astronaut[FACE_IN_ASTRONAUT]
    photo = np.full((200, 400, 3), 90, np.uint8)
    photo[20:95, 20:95] = face[::2, ::2]
    assert opened[FACE](scene((400, 200), 0, 0, photo), 1.0).left < 20
    photo[20:170, 230:380] = face
    assert opened[FACE](scene((400, 200), 0, 0, photo), 1.0).left > 180


def test_without_a_face_the_window_is_in_the_middle(
    opened: dict[str, Cropper], coffee: NDArray[np.uint8]
) -> None:
    window = opened[FACE](encode(coffee), 1.0)
    assert window == centre_window((600, 400), 1.0) == Window(100, 0, 400, 400)


@pytest.mark.parametrize(("package", "name"), [("smartcrop", SMARTCROP), ("pyvips", ATTENTION)])
def test_a_missing_package_is_named(
    package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}.*pip install --editable '\.\[perf\]'"):
        open_cropper(name)


def test_twitters_tool_is_measured_where_its_network_is_given(twitter: Path) -> None:
    assert TWITTER not in names()
    taken = network.measure(network.student_files() | {"bright": twitter}, seconds=0.05)
    assert taken.keys() == {"onnxruntime", "OpenVINO"}
    assert all(milliseconds > 0 for row in taken.values() for milliseconds in row.values())
    assert "| bright |" in network.markdown(taken)


def test_speed_is_of_the_same_call(opened: dict[str, Cropper]) -> None:
    speeds = dict(speed.measure([GAZECROP], 0.3, seconds=0.05, core_seconds=0.1))
    assert speeds.keys() == {GAZECROP}
    assert speeds[GAZECROP].milliseconds > 0
    assert speeds[GAZECROP].rate > 1
    assert size_of(jpeg(0.3)) == pytest.approx((670, 447), abs=100)
