"""`crops` through the running server: the client's own windows, for whoever has no client."""

import importlib.util
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gazecrop
import hypothesis.strategies as st
import numpy as np
import pytest
import tritonclient.grpc as triton
from hypothesis import given, settings
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException

from server.embedded import MODEL_REPOSITORY
from tests.conftest import encode
from tests.model_repository.test_config import config

Pixels = NDArray[np.uint8]
Ask = Callable[..., triton.InferResult]
SIZES = ((600, 400), (1080, 1350), (1000, 77), (33, 500))


@pytest.fixture(scope="session")
def crops(grpc: str) -> Ask:
    """Ask for the windows of photos: the inputs by their names, and a list of outputs or all."""
    server = triton.InferenceServerClient(grpc)

    def infer(*given: Any, **inputs: Any) -> triton.InferResult:
        photos = [each for each in given if isinstance(each, bytes)]
        named = next((each for each in given if isinstance(each, list)), None)
        image = triton.InferInput("IMAGE", [len(photos), 1], "BYTES")
        image.set_data_from_numpy(np.array([[photo] for photo in photos], np.object_))
        tensors = [image]
        for name, values in inputs.items():
            array = np.array([values] * len(photos), np.float32)
            tensor = triton.InferInput(name, list(array.shape), "FP32")
            tensors.append(tensor.set_data_from_numpy(array))
        outputs = named and [triton.InferRequestedOutput(name) for name in named]
        return server.infer("crops", tensors, outputs=outputs, client_timeout=20)

    return infer


@pytest.fixture(scope="session")
def photos(coffee: Pixels, astronaut: Pixels) -> list[bytes]:
    """Wide, tall, thin, of sizes whose half pixels a ratio rounds up or down."""
    pictures = [Image.fromarray(pixels) for pixels in (coffee, astronaut, coffee, astronaut)]
    return [encode(each.resize(size)) for each, size in zip(pictures, SIZES, strict=True)]


@pytest.fixture(scope="session")
def predictions(photos: list[bytes], client: gazecrop.Client) -> list[gazecrop.Saliency]:
    return [client.predict(photo) for photo in photos]


ratios = st.lists(
    st.one_of(
        st.sampled_from(["16:9", "1:1", "4:5", "9:16", "1.91:1"]),
        st.tuples(st.integers(4, 400), st.integers(4, 400)),
        st.integers(10, 900).map(lambda hundredths: hundredths / 100),
    ),
    min_size=1,
    max_size=4,
)
shares = st.integers(0, 100).map(lambda hundredths: hundredths / 100)
boxes = st.tuples(shares, shares, shares, shares)
options = st.fixed_dictionaries(
    {},
    optional={
        "focus": st.one_of(st.tuples(shares, shares), boxes),
        "keep": st.lists(boxes, min_size=1, max_size=2),
        "avoid": st.lists(boxes, min_size=1, max_size=2),
        "zoom": st.integers(10, 40).map(lambda tenths: tenths / 10),
        "tolerance": shares,
        "min_kept": shares,
    },
)


def in_pixels(options: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Shares of the sides as pixels, with a decimal that no FP32 has exactly."""

    def scaled(box: tuple[float, ...]) -> list[float]:
        return [round(share * side * 0.7, 1) for share, side in zip(box, size * 2, strict=False)]

    return {
        name: scaled(value)
        if name == "focus"
        else [scaled(box) for box in value]
        if name in ("keep", "avoid")
        else value
        for name, value in options.items()
    }


@given(st.integers(0, len(SIZES) - 1), ratios, options)
@settings(max_examples=100)
def test_the_windows_are_the_clients(
    crops: Ask,
    photos: list[bytes],
    predictions: list[gazecrop.Saliency],
    index: int,
    ratios: list[Any],
    options: dict[str, Any],
) -> None:
    asked = in_pixels(options, SIZES[index])
    inputs = {
        name.upper(): [value] if isinstance(value, float) else value
        for name, value in asked.items()
    }
    inputs["RATIOS"] = [gazecrop.parse_ratio(ratio) for ratio in ratios]
    try:
        expected = [predictions[index].crop(ratio, **asked) for ratio in ratios]
    except gazecrop.GazecropError as error:
        reason = f"windows: {error}"[:30]
        with pytest.raises(InferenceServerException) as raised:
            crops(photos[index], **inputs)
        assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert reason in raised.value.message()
        return
    result = crops(photos[index], **inputs)
    assert result.as_numpy("RECTS")[0].tolist() == [list(crop.rect) for crop in expected]
    assert result.as_numpy("KEPT")[0].tolist() == pytest.approx(
        [crop.kept for crop in expected], abs=1e-5
    )
    assert result.as_numpy("ADVICE")[0].tolist() == [crop.advice.encode() for crop in expected]
    assert result.as_numpy("IMAGE_SIZE")[0].tolist() == list(SIZES[index])
    for table, crop in zip(result.as_numpy("CUTS")[0], expected, strict=True):
        cuts = [[*cut.box, cut.inside, cut.attention] for cut in crop.cuts or ()]
        assert table[: len(cuts)].ravel() == pytest.approx(np.ravel(cuts), abs=1e-5)
        assert not table[len(cuts) :].any()


def test_a_portrait_in_a_strip_is_cut(crops: Ask, photos: list[bytes]) -> None:
    """Some window of the property above has to cut something, or it would say little of cuts."""
    assert crops(photos[1], RATIOS=[8]).as_numpy("CUTS")[0, 0, 0, 4] > 0


def test_the_maps_come_along(
    crops: Ask, photos: list[bytes], predictions: list[gazecrop.Saliency]
) -> None:
    result = crops(photos[0], RATIOS=[1])
    assert np.allclose(result.as_numpy("SALIENCY")[0], predictions[0].density, atol=1e-5)
    assert np.allclose(result.as_numpy("INTEGRITY")[0], predictions[0].integrity, atol=1e-5)


@pytest.mark.parametrize("name", [output.name for output in config("crops").output])
def test_each_output_can_be_had_alone(crops: Ask, photos: list[bytes], name: str) -> None:
    whole, part = (crops(photos[0], outputs, RATIOS=[1, 2]) for outputs in (None, [name]))
    assert [output.name for output in part.get_response().outputs] == [name]
    assert np.array_equal(part.as_numpy(name), whole.as_numpy(name))


def test_several_photos_in_one_request(crops: Ask, photos: list[bytes]) -> None:
    together = crops(*photos, RATIOS=[16 / 9, 1], ZOOM=[1.2])
    for index, photo in enumerate(photos):
        alone = crops(photo, RATIOS=[16 / 9, 1], ZOOM=[1.2])
        for name in ("RECTS", "KEPT", "ADVICE", "IMAGE_SIZE"):
            assert together.as_numpy(name)[index].tolist() == alone.as_numpy(name)[0].tolist()


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"RATIOS": [1, 0]}, "an aspect ratio is like"),
        ({"RATIOS": [float("nan")]}, "an aspect ratio is like"),
        ({"RATIOS": [-1]}, "an aspect ratio is like"),
        ({"RATIOS": []}, "RATIOS"),
        ({"RATIOS": [1] * 65}, "RATIOS has at most 64 entries"),
        ({"RATIOS": [1], "AVOID": [[0, 0, 1, 1]] * 65}, "AVOID has at most 64 entries"),
        ({"RATIOS": [1], "FOCUS": [1, 2, 3]}, "focus is (left, top, width, height)"),
        ({"RATIOS": [1], "FOCUS": [9999, 0]}, "lies outside the photo of 600×400 pixels"),
        ({"RATIOS": [1], "ZOOM": [0.5]}, "a zoom is a number of at least 1"),
        ({"RATIOS": [1], "ZOOM": [1, 2]}, "ZOOM"),
        ({"RATIOS": [1], "KEEP": [[0, 0, 1, 1], [599, 0, 1, 1]]}, "cannot hold all"),
        ({"RATIOS": [1], "AVOID": [[0, 0, 600, 400]]}, "stays off the regions to avoid"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    crops: Ask, photos: list[bytes], inputs: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        crops(photos[0], **inputs)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert reason in raised.value.message()


def test_good_neighbours_of_bad_requests_are_answered(crops: Ask, photos: list[bytes]) -> None:
    expected = crops(photos[0], RATIOS=[1]).as_numpy("RECTS").tolist()
    requests = [(photos[0], [1]), (b"no photo", [1]), (photos[0], [0])] * 8

    def outcome(request: tuple[bytes, list[float]]) -> Any:
        try:
            return crops(request[0], RATIOS=request[1]).as_numpy("RECTS").tolist()
        except InferenceServerException as error:
            return error.status()

    with ThreadPoolExecutor(len(requests)) as pool:
        outcomes = list(pool.map(outcome, requests))
    assert outcomes == [expected, *["StatusCode.INVALID_ARGUMENT"] * 2] * 8


@pytest.fixture(scope="module")
def windows() -> types.ModuleType:
    path = MODEL_REPOSITORY / "windows" / "1" / "windows.py"
    spec = importlib.util.spec_from_file_location("windows_windows", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_ratio_outlives_its_rounding(windows: types.ModuleType, width: int, height: int) -> None:
    assert windows.fraction(np.float32(width / height)) == width / height


@given(st.floats(2**-30, 2**30, width=32))
def test_a_ratio_is_what_was_sent(windows: types.ModuleType, ratio: float) -> None:
    assert np.float32(windows.fraction(np.float32(ratio))) == np.float32(ratio)
