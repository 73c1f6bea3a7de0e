"""What a cut spoils: windows spare it within the tolerance, and tell what they cut all the same."""

import json
from typing import Any

import gazecrop
import numpy as np
import pytest
from gazecrop._connection import answer
from gazecrop._geometry import window_size
from gazecrop._photo import Upload
from gazecrop._window import CENTRE_SIGMA
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tritonclient.grpc.service_pb2 import ModelInferResponse

SIZE = (400, 300)
ratios = st.sampled_from([16 / 9, 1.0, 0.8, 0.5])
zooms = st.floats(1, 3)
tolerances = st.floats(0, 0.2)
saliencies = st.integers(0, 1000).map(lambda seed: random_saliency(seed))
boxes = st.tuples(
    st.integers(0, 300), st.integers(0, 200), st.integers(1, 60), st.integers(1, 60)
).map(lambda box: gazecrop.Rect(*box))


def random_saliency(seed: int) -> gazecrop.Saliency:
    random = np.random.default_rng(seed)
    return gazecrop.Saliency(random.random((6, 8)) ** 4, SIZE, random.random((6, 8)) ** 2)


def head(left: int, top: int, grid: tuple[int, int] = (12, 16)) -> NDArray[Any]:
    """A map with one thing of 2×2 cells."""
    integrity = np.zeros(grid)
    integrity[top : top + 2, left : left + 2] = 1
    return integrity


def weights(saliency: gazecrop.Saliency) -> NDArray[Any]:
    """The density, weighted towards the centre."""
    down, across = (
        np.exp(-((((np.arange(n) + 0.5) / n - 0.5) / CENTRE_SIGMA) ** 2) / 2)
        for n in saliency.density.shape
    )
    weighted = saliency.density * np.outer(down, across)
    return np.asarray(weighted / weighted.sum())


def held(values: NDArray[Any], rect: gazecrop.Rect) -> float:
    """How much of the values the window holds, counted pixel by pixel."""
    rows, columns = SIZE[1] // values.shape[0], SIZE[0] // values.shape[1]
    pixels = np.kron(values, np.full((rows, columns), 1 / (rows * columns)))
    return float(pixels[rect.top : rect.bottom, rect.left : rect.right].sum())


@given(saliencies, ratios, zooms, tolerances)
def test_a_window_holds_the_most_less_the_tolerance_at_worst(
    saliency: gazecrop.Saliency, ratio: float, zoom: float, tolerance: float
) -> None:
    best = saliency.crop(ratio, zoom=zoom, tolerance=0).rect
    chosen = saliency.crop(ratio, zoom=zoom, tolerance=tolerance).rect
    weighted = weights(saliency)
    assert held(weighted, chosen) >= held(weighted, best) - tolerance - 1e-6


@given(saliencies, ratios, zooms)
def test_without_tolerance_or_integrity_the_most_attention_decides(
    saliency: gazecrop.Saliency, ratio: float, zoom: float
) -> None:
    blind = gazecrop.Saliency(saliency.density, SIZE)
    expected = blind.crop(ratio, zoom=zoom).rect
    assert saliency.crop(ratio, zoom=zoom, tolerance=0).rect == expected
    assert blind.crop(ratio, zoom=zoom, tolerance=0.2).rect == expected


@given(saliencies, ratios, zooms, boxes, boxes)
def test_what_the_caller_demands_comes_first(
    saliency: gazecrop.Saliency,
    ratio: float,
    zoom: float,
    keep: gazecrop.Rect,
    avoid: gazecrop.Rect,
) -> None:
    try:
        rect = saliency.crop(ratio, zoom=zoom, keep=[keep], avoid=[avoid]).rect
    except gazecrop.NoWindow:
        with pytest.raises(gazecrop.NoWindow):
            saliency.crop(ratio, zoom=zoom, keep=[keep], avoid=[avoid], tolerance=0)
        return
    assert rect[2:] == window_size(SIZE, ratio, zoom)
    assert rect.left <= keep.left
    assert rect.top <= keep.top
    assert rect.right >= keep.right
    assert rect.bottom >= keep.bottom
    beside = rect.right <= avoid.left or avoid.right <= rect.left
    assert beside or rect.bottom <= avoid.top or avoid.bottom <= rect.top


@given(saliencies, ratios, zooms, st.booleans(), st.booleans())
def test_mirror_images_and_quarter_turns_get_windows_of_the_same_worth(
    saliency: gazecrop.Saliency, ratio: float, zoom: float, across: bool, turned: bool
) -> None:
    def changed(values: NDArray[Any]) -> NDArray[Any]:
        values = values[:, ::-1] if across else values
        return values.T if turned else values

    assert saliency.integrity is not None
    size = SIZE[::-1] if turned else SIZE
    other = gazecrop.Saliency(changed(saliency.density), size, changed(saliency.integrity))
    width, height = saliency.crop(ratio, zoom=zoom).rect[2:]
    crop = saliency.crop((width, height), zoom=1, method="centre")
    same = other.crop((height, width) if turned else (width, height), method="centre")
    assert crop.cuts is not None
    assert same.cuts is not None
    if (SIZE[0] - crop.rect.width) % 2 == (SIZE[1] - crop.rect.height) % 2 == 0:
        attention = sum(cut.attention for cut in crop.cuts)
        # Of two ways up that are equally steep the first is taken, whichever side it lies on.
        assert len(crop.cuts) == len(same.cuts)
        assert sum(cut.attention for cut in same.cuts) == pytest.approx(attention, abs=1e-5)


def test_a_window_gives_up_a_little_attention_to_spare_a_head() -> None:
    density = np.ones((12, 16))
    density[:, 5:9] = 3
    # The window of the most attention, columns 2 to 14, ends in the middle of the head.
    integrity = head(13, 4)
    saliency = gazecrop.Saliency(density, SIZE, integrity)
    (cut,) = saliency.crop("1:1", tolerance=0, keep=[(50, 0, 1, 1)], method="centre").cuts or (
        None,
    )
    assert cut is not None
    assert cut.box == (325, 100, 50, 50)
    assert cut.inside == pytest.approx(0.5)
    assert saliency.crop("1:1", tolerance=0.1).cuts == ()


@pytest.mark.parametrize(("left", "parts"), [(0, 0), (6, 0), (2, 0.5), (13, 0.5)])
def test_things_inside_or_outside_are_not_cut(left: int, parts: float) -> None:
    saliency = gazecrop.Saliency(np.ones((12, 16)), (400, 300), head(left + 0, 5))
    crop = saliency.crop("1:1", method="centre")
    assert crop.rect == (50, 0, 300, 300)
    shares = [cut.inside for cut in crop.cuts or ()]
    expected = {0: [], 6: [], 2: [], 13: [0.5]}[left]
    assert shares == pytest.approx(expected)


def test_neighbours_that_touch_are_two_things() -> None:
    integrity = np.zeros((8, 12))
    integrity[3:5, 1:10] = [[0.5, 0.9, 0.5, 0.3, 0.6, 0.8, 0.4, 0, 0]] * 2
    saliency = gazecrop.Saliency(np.ones((8, 12)), (120, 80), integrity)
    cuts = saliency.crop("1:1", method="point", focus=(10, 40)).cuts
    assert cuts is not None
    assert [cut.box.left for cut in cuts] in ([], [40])
    assert all(cut.box.width <= 50 for cut in cuts)


def test_half_a_face_counts_as_lost_in_the_advice() -> None:
    density = np.full((12, 16), 0.01)
    density[4:6, 13:15] = 1
    saliency = gazecrop.Saliency(density, SIZE, head(13, 4))
    crop = saliency.crop("1:1", method="centre", min_kept=0.3)
    assert crop.kept > 0.3
    assert crop.cuts
    assert crop.advice == "pad"
    assert gazecrop.Saliency(density, SIZE).crop("1:1", method="centre", min_kept=0.3).advice == (
        "crop"
    )


def test_what_is_not_known_is_not_told() -> None:
    crop = gazecrop.Saliency([[1, 2]], (400, 100)).crop("1:1")
    assert crop.cuts is None
    assert "cuts" not in crop.to_dict()


@given(saliencies, ratios)
def test_a_crop_tells_its_cuts_in_json(saliency: gazecrop.Saliency, ratio: float) -> None:
    crop = saliency.crop(ratio)
    description = json.loads(json.dumps(crop.to_dict()))
    assert crop.cuts is not None
    assert len(description["cuts"]) == len(crop.cuts)
    for told, cut in zip(description["cuts"], crop.cuts, strict=True):
        assert told == pytest.approx({**cut.to_dict()})
        assert 0.1 <= cut.inside <= 0.9
        assert cut.attention <= crop.kept + 1e-6


@pytest.mark.parametrize(
    "integrity",
    [
        np.zeros((2, 3)),
        np.zeros(4),
        np.zeros((1, 2, 2)),
        [[0, np.nan], [0, 0]],
        [[0, 1.1], [0, 0]],
        [[-0.1, 1], [0, 0]],
        [[np.inf, 1], [0, 0]],
    ],
)
def test_what_is_no_integrity_is_refused(integrity: object) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="an integrity"):
        gazecrop.Saliency(np.ones((2, 2)), (10, 10), integrity)  # type: ignore[arg-type]


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, float("nan")])
def test_a_tolerance_is_a_share(tolerance: float) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="a tolerance"):
        gazecrop.Saliency([[1]], (4, 4)).crop("1:1", tolerance=tolerance)


def test_a_stored_integrity_gives_the_same_crops() -> None:
    saliency = random_saliency(3)
    restored = gazecrop.Saliency.from_json(saliency.to_json())
    assert saliency.integrity is not None
    assert restored.integrity is not None
    assert np.array_equal(restored.integrity, saliency.integrity)
    assert restored.crop("1:1") == saliency.crop("1:1")
    assert gazecrop.Saliency.from_json(gazecrop.Saliency([[1]], (4, 4)).to_json()).integrity is None


def test_the_first_version_is_read() -> None:
    text = '{"version": 1, "size": [4, 4], "grid": [1, 1], "density": "AACAPw=="}'
    restored = gazecrop.Saliency.from_json(text)
    assert restored.size == (4, 4)
    assert restored.integrity is None


@pytest.mark.parametrize("integrity", ["AACAPwAAgD8=", "AADAfw==", "AAAAQA==", "?", 7, None])
def test_a_stored_integrity_that_is_none_is_refused(integrity: object) -> None:
    stored = {"version": 2, "size": [4, 4], "grid": [1, 1], "density": "AACAPw=="}
    with pytest.raises(gazecrop.InvalidArgument):
        gazecrop.Saliency.from_json(json.dumps({**stored, "integrity": integrity}))


def test_a_window_with_room_has_its_subject_in_the_middle() -> None:
    density = np.zeros((12, 16))
    density[5:7, 10:12] = 1
    saliency = gazecrop.Saliency(density, SIZE, np.zeros((12, 16)))
    crop = saliency.crop("1:1", zoom=2)
    assert crop.kept == pytest.approx(1)
    assert crop.rect == (200, 75, 150, 150)
    nearer = saliency.crop("1:1", zoom=2, focus=(300, 170)).rect
    assert nearer.left > crop.rect.left


def test_several_crops_spare_things_too() -> None:
    density = np.ones((12, 16))
    saliency = gazecrop.Saliency(density, SIZE, head(5, 5))
    for crop in saliency.crops("1:1", 3, zoom=2, tolerance=0.2):
        assert crop.cuts == ()


def test_the_overlay_shows_either_map() -> None:
    saliency = gazecrop.Saliency(np.ones((12, 16)), SIZE, head(5, 5))
    photo = grey_photo()
    maps = [gazecrop.overlay(photo, saliency, {}, shown) for shown in ("saliency", "integrity")]
    corner = (2, 2)
    assert maps[1].getpixel(corner) == (128, 128, 128)
    assert maps[0].getpixel(corner) != (128, 128, 128)
    with pytest.raises(gazecrop.InvalidArgument, match="integrity"):
        gazecrop.overlay(photo, gazecrop.Saliency([[1]], SIZE), {}, "integrity")


def grey_photo() -> Image.Image:
    return Image.new("RGB", SIZE, (128, 128, 128))


@pytest.mark.parametrize("told", [True, False])
def test_servers_tell_the_integrity_or_do_not(told: bool) -> None:
    response = ModelInferResponse(model_name="saliency")
    values = {"SALIENCY": np.full((1, 2, 2), 0.25, np.float32), "IMAGE_SIZE": np.array([[8, 4]])}
    if told:
        values["INTEGRITY"] = np.array([[[0, 1], [0.5, 0]]], np.float32)
    for name, tensor in values.items():
        output = response.outputs.add(name=name, shape=tensor.shape)
        output.datatype = "INT32" if name == "IMAGE_SIZE" else "FP32"
        kind = np.int32 if name == "IMAGE_SIZE" else np.float32
        response.raw_output_contents.append(tensor.astype(kind).tobytes())
    saliency = answer(response, Upload(b"", None))
    assert saliency.size == (8, 4)
    assert (saliency.integrity is not None) == told
    if saliency.integrity is not None:
        assert np.array_equal(saliency.integrity, values["INTEGRITY"][0])
