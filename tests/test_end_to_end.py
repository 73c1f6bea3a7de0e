"""The ensemble as any service may call it, through the running embedded Triton."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gazecrop
import numpy as np
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException

from server import embedded
from tests.conftest import encode
from tests.model_repository.test_photo import declared_png, unusable

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def server(grpc: str) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(grpc)


def infer(server: triton.InferenceServerClient, *uploads: bytes) -> triton.InferResult:
    image = triton.InferInput("IMAGE", [len(uploads), 1], "BYTES")
    image.set_data_from_numpy(np.array([[upload] for upload in uploads], np.object_))
    return server.infer("saliency", [image], client_timeout=20)


def test_the_contract(server: triton.InferenceServerClient, coffee: Pixels) -> None:
    metadata = server.get_model_metadata("saliency")
    tensors = [*metadata.inputs, *metadata.outputs]
    assert {tensor.name: tensor.datatype for tensor in tensors} == {
        "IMAGE": "BYTES",
        "SALIENCY": "FP32",
        "IMAGE_SIZE": "INT32",
        "INTEGRITY": "FP32",
        "MODEL": "BYTES",
    }
    result = infer(server, encode(coffee))
    density = result.as_numpy("SALIENCY")
    assert density.dtype == np.float32
    assert density.sum() == pytest.approx(1, abs=1e-4)
    assert result.as_numpy("IMAGE_SIZE").tolist() == [[600, 400]]
    integrity = result.as_numpy("INTEGRITY")
    assert integrity.shape == density.shape
    assert 0 <= integrity.min() <= integrity.max() <= 1


def test_a_head_has_integrity(client: gazecrop.Client, astronaut: Pixels) -> None:
    integrity = client.predict(encode(astronaut)).integrity
    assert integrity is not None
    rows, columns = (
        slice(*(round(edge * side) for edge in edges))
        for edges, side in zip(((0.1, 0.3), (0.35, 0.5)), integrity.shape, strict=True)
    )  # the face of the astronaut
    assert integrity[rows, columns].mean() > 0.5
    assert integrity[:, : columns.start // 2].mean() < 0.1


def test_the_grid_covers_the_upright_photo(client: gazecrop.Client, astronaut: Pixels) -> None:
    """A phone photo lies on its side in the file; its face is found where people see it."""
    upright = client.predict(encode(astronaut, quality=95))
    exif = Image.Exif()
    exif[0x0112] = 6
    on_its_side = Image.fromarray(astronaut).transpose(Image.Transpose.ROTATE_90)
    rotated = client.predict(encode(on_its_side, quality=95, exif=exif))
    assert rotated.size == upright.size
    assert np.abs(rotated.density - upright.density).sum() < 0.1


def test_attention_follows_the_subject(client: gazecrop.Client, astronaut: Pixels) -> None:
    """A portrait on a wide, empty background: its face is kept, wherever it stands."""
    face = Image.fromarray(astronaut[0:260, 120:340])
    for left in (20, 460, 900):
        scene = Image.new("RGB", (1200, 400), (120, 130, 140))
        scene.paste(face, (left, 90))
        x, y = client.predict(scene).salient_point
        assert left < x < left + 220
        assert 90 < y < 350


def test_concurrent_requests_are_batched(
    server: triton.InferenceServerClient, coffee: Pixels, astronaut: Pixels
) -> None:
    """Photos of all shapes: Triton's own statistics show them in one execution."""
    uploads = [encode(astronaut), encode(coffee), encode(coffee[:, :120]), encode(coffee[:90])]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda index: infer(server, uploads[index % 4]), range(64)))
    for model in ("preprocess", "student"):
        stats = server.get_inference_statistics(model).model_stats[0]
        assert stats.execution_count < stats.inference_count
        assert max(batch.batch_size for batch in stats.batch_stats) > 1


def test_several_images_in_one_request(
    server: triton.InferenceServerClient, coffee: Pixels, astronaut: Pixels
) -> None:
    both = infer(server, encode(coffee), encode(astronaut))
    assert both.as_numpy("SALIENCY").shape[0] == 2
    assert both.as_numpy("IMAGE_SIZE").tolist() == [[600, 400], [512, 512]]
    alone = infer(server, encode(astronaut)).as_numpy("SALIENCY")[0]
    assert np.allclose(both.as_numpy("SALIENCY")[1], alone, atol=1e-5)


def rejection(call: Callable[[], object]) -> str:
    """The message of an INVALID_ARGUMENT that must come soon, also on a busy machine."""
    started = time.monotonic()
    with pytest.raises(InferenceServerException) as raised:
        call()
    assert time.monotonic() - started < 5
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    return str(raised.value.message())


def test_unusable_uploads_get_their_reason(
    server: triton.InferenceServerClient, coffee: Pixels
) -> None:
    for name, (upload, reason) in unusable(coffee).items():
        assert reason in rejection(lambda upload=upload: infer(server, upload)), name
    assert server.is_model_ready("saliency")


def test_odd_but_valid_uploads_are_answered(server: triton.InferenceServerClient) -> None:
    for size in ((1, 1), (20_000, 10)):
        started = time.monotonic()
        result = infer(server, encode(Image.new("RGB", size, "red"), "PNG"))
        assert time.monotonic() - started < 5
        assert result.as_numpy("IMAGE_SIZE").tolist() == [list(size)]
        assert np.isfinite(result.as_numpy("SALIENCY")).all()


def test_wrong_type_and_shape_are_refused(server: triton.InferenceServerClient) -> None:
    numbers = triton.InferInput("IMAGE", [1, 1], "FP32")
    numbers.set_data_from_numpy(np.zeros((1, 1), np.float32))
    assert "IMAGE" in rejection(lambda: server.infer("saliency", [numbers]))

    row = triton.InferInput("IMAGE", [1, 2], "BYTES")
    row.set_data_from_numpy(np.array([[b"one", b"two"]], np.object_))
    assert "IMAGE" in rejection(lambda: server.infer("saliency", [row]))


def test_good_neighbours_of_bad_uploads_are_answered(
    server: triton.InferenceServerClient, coffee: Pixels
) -> None:
    good = encode(coffee)
    expected = infer(server, good).as_numpy("SALIENCY")
    uploads = [good, b"bad", good, b"", good[:9000], declared_png(40_000, 40_000)] * 8

    def answer(upload: bytes) -> NDArray[np.float32] | str:
        try:
            return infer(server, upload).as_numpy("SALIENCY")
        except InferenceServerException as error:
            return str(error.status())

    with ThreadPoolExecutor(len(uploads)) as pool:
        answers = list(pool.map(answer, uploads))
    for upload, result in zip(uploads, answers, strict=True):
        if upload is good:
            assert np.allclose(result, expected, atol=1e-5)
        else:
            assert result == "StatusCode.INVALID_ARGUMENT"


def refuse(server: triton.InferenceServerClient, uploads: list[bytes]) -> None:
    for upload in uploads:
        with pytest.raises(InferenceServerException):
            infer(server, upload)


def test_memory_stays_flat_over_a_thousand_bad_uploads(
    server: triton.InferenceServerClient, address: embedded.Address, coffee: Pixels
) -> None:
    uploads = [upload for upload, _ in unusable(coffee).values() if len(upload) < 1_000_000]
    refuse(server, uploads * 20)
    before = resident_bytes(address)
    refuse(server, uploads * (1000 // len(uploads) + 1))
    assert resident_bytes(address) - before < 15_000_000
    assert server.is_model_ready("saliency")


def test_memory_stays_bounded_over_huge_uploads(
    server: triton.InferenceServerClient, address: embedded.Address
) -> None:
    """gRPC keeps a few messages' worth of freed memory, more or less of it from one to the next."""
    huge = bytes(21_500_000)  # no photo, but a request that is received
    refuse(server, [huge] * 20)
    before = resident_bytes(address)
    refuse(server, [huge] * 60)  # 1.3 GB
    assert resident_bytes(address) - before < 150_000_000


def resident_bytes(address: embedded.Address) -> int:
    """Private memory of the tritonserver at this address and of all processes it started."""
    wanted = f"--http-port={address.http}"
    parents, roots = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_text().split("\0")
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rsplit(") ")[-1].split()[1]
            )
        except OSError:
            continue  # it has ended meanwhile
        if wanted in arguments:
            roots.add(int(folder.name))
    family = set(roots)
    while added := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= added
    assert len(family) > 1
    pages = sum(
        resident - shared
        for resident, shared in (
            map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3]) for pid in family
        )
    )
    return pages * os.sysconf("SC_PAGE_SIZE")
