"""Large JPEGs decoded by DALI, on its CPU operators: the network sees in them what it sees of ours.

Nothing here ran on a GPU, where nvJPEG decodes.
"""

import importlib
import io
import shutil
import struct
import types
from pathlib import Path
from typing import Any

import gazecrop
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage
from google.protobuf import text_format
from numpy.typing import NDArray
from PIL import Image
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from export.parity import MODEL, canvas_of
from server.embedded import MODEL_REPOSITORY, ServerError
from tests.conftest import encode, serving

pytest.importorskip("nvidia.dali", reason="DALI is not here: pip install '.[dali]'")

CANVAS = canvas_of(onnx.load(MODEL))
SAME = 0.05  # sum of absolute differences of two densities
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def dali(preprocess: types.ModuleType) -> types.ModuleType:
    return importlib.import_module("dali")


@pytest.fixture(scope="module")
def decoder(dali: types.ModuleType) -> Any:
    return dali.Decoder(8, None)


@pytest.fixture(scope="module")
def retina() -> bytes:
    """A real JPEG of 2 megapixels."""
    return Path(skimage.__file__).with_name("data").joinpath("retina.jpg").read_bytes()


def enlarged(photo: Pixels, width: int, height: int) -> Image.Image:
    return Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC)


def mosaic(photos: list[Pixels], side: int) -> Image.Image:
    """Real photos as they are, in rows: more detail than a camera's photo of that size has."""
    tiles = [photo[:300, :400] for photo in photos]
    rows = [
        np.hstack([tiles[(row + column) % len(tiles)] for column in range(side)])
        for row in range(side)
    ]
    return Image.fromarray(np.vstack(rows))


def density(photo: Any) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    inputs = {"PIXELS": photo.pixels[None], "EXTENT": np.array([photo.extent], np.int32)}
    result: NDArray[np.float32] = session.run(["DENSITY"], inputs)[0]
    return result


def assert_same(photo: Any, own: Any) -> None:
    assert photo is not None
    assert photo[1:] == own[1:]
    assert np.abs(density(photo) - density(own)).sum() < SAME


@pytest.mark.parametrize("side", [5, 7, 10])
def test_the_network_sees_the_same(
    preprocess: types.ModuleType, decoder: Any, astronaut: Pixels, coffee: Pixels, side: int
) -> None:
    photos = [astronaut, coffee, skimage.data.rocket(), skimage.data.chelsea()]
    upload = encode(mosaic(photos, side), quality=92)
    (photo,) = decoder.load([upload], CANVAS)
    assert_same(photo, preprocess.load(upload, CANVAS))


def test_a_photo_of_a_camera(preprocess: types.ModuleType, decoder: Any, retina: bytes) -> None:
    assert_same(decoder.load([retina], CANVAS)[0], preprocess.load(retina, CANVAS))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(
    preprocess: types.ModuleType, decoder: Any, coffee: Pixels, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upload = encode(enlarged(coffee, 2400, 1600), exif=exif)
    assert_same(decoder.load([upload], CANVAS)[0], preprocess.load(upload, CANVAS))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"subsampling": 0}),
        ("RGB", {"subsampling": 1}),
        ("RGB", {"progressive": True}),
        ("L", {}),
    ],
)
@pytest.mark.parametrize("size", [(6000, 1700), (1600, 2400), (4097, 3071)])
def test_common_kinds(
    preprocess: types.ModuleType,
    decoder: Any,
    coffee: Pixels,
    mode: str,
    options: dict[str, Any],
    size: tuple[int, int],
) -> None:
    upload = encode(enlarged(coffee, *size).convert(mode), **options)
    assert_same(decoder.load([upload], CANVAS)[0], preprocess.load(upload, CANVAS))


def adobe(upload: bytes, transform: int) -> bytes:
    segment = b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform)
    return upload[:2] + b"\xff\xee" + struct.pack(">H", len(segment) + 2) + segment + upload[2:]


def test_what_dali_is_not_to_take_is_left(decoder: Any, coffee: Pixels) -> None:
    large = enlarged(coffee, 2400, 1600)
    jpeg = encode(large)
    frame = jpeg.index(b"\xff\xc0")
    left = {
        "empty": b"",
        "no photo": b"not a photo",
        "another format": encode(large, "PNG", compress_level=1),
        "small": encode(coffee),
        "too large": encode(Image.new("L", (5500, 5000))),
        "inks": encode(large.convert("CMYK")),
        "stored as RGB": adobe(jpeg, 0),
        "cut off": jpeg[:-2],
        "arithmetic coding": jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1),
        "12 bits": jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :],
        "two frames": jpeg[:frame] + jpeg[frame : frame + 19] + jpeg[frame:],
        "too many bytes": jpeg + bytes(21_000_000) + b"\xff\xd9",
    }
    taken = decoder.load([adobe(jpeg, 1), *left.values()], CANVAS)
    assert [bool(photo) for photo in taken] == [True] + [False] * len(left)


def test_a_photo_without_its_end_is_left_for_judgement(decoder: Any, retina: bytes) -> None:
    half = retina[: len(retina) // 2] + b"\xff\xd9"
    first, lost, last = decoder.load([retina, half, retina], CANVAS)
    assert first
    assert last
    assert lost is None


def test_a_photo_that_dali_cannot_decode_leaves_its_batch_and_no_later_one(
    preprocess: types.ModuleType, decoder: Any, retina: bytes
) -> None:
    without_tables = retina.replace(b"\xff\xdb", b"\xff\xfe")
    assert decoder.load([retina, without_tables, retina], CANVAS) == [None] * 3
    assert_same(decoder.load([retina], CANVAS)[0], preprocess.load(retina, CANVAS))


def test_batches_stay_within_their_pixels(
    dali: types.ModuleType, decoder: Any, monkeypatch: pytest.MonkeyPatch, coffee: Pixels
) -> None:
    sizes = [(2400, 1600), (1600, 2400), (3000, 2000), (2400, 1600)]
    uploads = [encode(enlarged(coffee, *size)) for size in sizes]
    uploads.insert(2, encode(coffee))
    ran: list[int] = []
    shrunk = decoder._shrunk
    monkeypatch.setattr(dali, "BATCH_PIXELS", 8_000_000)
    monkeypatch.setattr(decoder, "_shrunk", lambda jobs: ran.append(len(jobs)) or shrunk(jobs))
    photos = decoder.load(uploads, CANVAS)
    assert ran == [2, 1, 1]
    assert [photo and photo.size for photo in photos] == [*sizes[:2], None, *sizes[2:]]


def repository(folder: Path, decoder: str) -> Path:
    """The shipped models, whose preprocessing is configured as for GPUs, but runs on the CPU."""
    copy = shutil.copytree(MODEL_REPOSITORY, folder / "models")
    text = (copy / "preprocess" / "configs" / "gpu.pbtxt").read_text("utf-8")
    config = text_format.Parse(text, ModelConfig())
    config.instance_group[0].kind, config.instance_group[0].count = ModelInstanceGroup.KIND_CPU, 1
    config.parameters["decoder"].string_value = decoder
    (copy / "preprocess" / "config.pbtxt").write_text(text_format.MessageToString(config))
    return Path(copy)


def test_a_server_answers_each_photo_of_a_batch_by_itself(
    preprocess: types.ModuleType, tmp_path: Path, retina: bytes, coffee: Pixels
) -> None:
    uploads = [retina, b"not a photo", encode(coffee, "PNG"), retina, encode(coffee)]
    with serving(tmp_path, model_repository=repository(tmp_path, "dali")) as address:
        where = f"{address.host}:{address.grpc}"
        with gazecrop.Client(where) as client:
            with pytest.raises(gazecrop.ImageRejected, match="not an image"):
                client.predict(uploads[1])
            answers = client.predict_many([upload for upload in uploads if upload != uploads[1]])
            sizes = [answer.size for answer in answers]
    assert sizes == [Image.open(io.BytesIO(retina)).size, (600, 400)] * 2


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ("luck", "decoder is 'luck'; there is only dali"),
        ("dali", "preprocess: DALI is not here ("),
    ],
)
def test_a_decoder_that_is_not_there_is_named(decoder: str, said: str, tmp_path: Path) -> None:
    models = repository(tmp_path, decoder)
    step = models / "preprocess" / "1" / "dali.py"
    hidden = "import sys\n\nsys.modules['nvidia.dali'] = None\n"
    step.write_text(hidden + step.read_text("utf-8"), "utf-8")
    with pytest.raises(ServerError), serving(tmp_path, model_repository=models):
        pass
    log = (tmp_path / "triton.log").read_text()
    assert said in log
    assert decoder == "luck" or "pip install nvidia-dali-cuda130" in log
