import io
import threading
import time
from pathlib import Path

import gazecrop
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import encode, free_address


def test_every_form_of_a_photo_is_taken(
    client: gazecrop.Client, photo: Path, coffee: NDArray[np.uint8]
) -> None:
    expected = client.predict(photo)
    assert expected.size == (600, 400)
    for form in (str(photo), photo.read_bytes(), io.BytesIO(photo.read_bytes())):
        assert np.array_equal(client.predict(form).density, expected.density)
    from_pil = client.predict(Image.fromarray(coffee))
    assert np.abs(from_pil.density - expected.density).sum() < 0.05


def test_crops_come_in_the_order_of_the_ratios(client: gazecrop.Client, photo: Path) -> None:
    wide, square, tall = client.crop(photo, ["16:9", (100, 100), 0.5])
    assert [crop.rect.width for crop in (wide, square, tall)] == [600, 400, 200]
    assert wide.apply(photo).size == (600, 338)


def test_a_transparent_image_is_sent_with_its_alpha(client: gazecrop.Client) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    white = Image.new("RGB", (64, 64), "white")
    density = client.predict(Image.fromarray(pixels)).density
    assert np.allclose(density, client.predict(white).density, atol=1e-4)


@pytest.mark.parametrize("photo", ["/no/such/file.jpg", 3, None, io.StringIO("text")])
def test_what_is_no_photo_is_refused(client: gazecrop.Client, photo: object) -> None:
    with pytest.raises(gazecrop.InvalidArgument):
        client.predict(photo)  # type: ignore[arg-type]


def test_a_bad_ratio_is_refused_before_anything_is_sent() -> None:
    with gazecrop.Client("127.0.0.1:1") as client, pytest.raises(gazecrop.InvalidArgument):
        client.crop(b"", ["16:9", "wide"])


def test_a_rejected_image_says_why(client: gazecrop.Client) -> None:
    with pytest.raises(gazecrop.ImageRejected, match=r"^read: not an image"):
        client.predict(b"no photo")


@pytest.mark.parametrize("known", [True, False])
def test_a_client_may_insist_on_a_network(
    grpc: str, client: gazecrop.Client, photo: Path, known: bool
) -> None:
    model = client.predict(photo).model
    assert model
    with gazecrop.Client(grpc, timeout=20, model=model if known else "0" * 12) as strict:
        status = strict.ping()
        assert strict.is_ready() is status.ready is known
        if known:
            assert strict.predict(photo).model == status.model == model
        else:
            assert f"with the network {model}, not 0" in str(status.problem)
            with pytest.raises(gazecrop.ServerFailed, match=f"with the network {model}, not 0"):
                strict.predict(photo)


def test_nobody_answers() -> None:
    port = free_address().grpc
    started = time.monotonic()
    with (
        gazecrop.Client(f"127.0.0.1:{port}", timeout=10) as client,
        pytest.raises(gazecrop.ServerUnreachable, match=f"127.0.0.1:{port}"),
    ):
        client.predict(b"photo")
    assert time.monotonic() - started < 5


def test_every_call_has_a_deadline(silent_port: int) -> None:
    started = time.monotonic()
    with (
        gazecrop.Client(f"127.0.0.1:{silent_port}", timeout=0.5) as client,
        pytest.raises(gazecrop.DeadlineExceeded, match=r"within 0\.5 s") as raised,
    ):
        client.predict(b"photo")
    assert time.monotonic() - started < 2
    assert isinstance(raised.value, TimeoutError)


def test_threads_may_share_a_client(client: gazecrop.Client, coffee: NDArray[np.uint8]) -> None:
    uploads = [encode(np.roll(coffee, 50 * step, axis=1)) for step in range(8)]
    expected = [client.predict(upload).salient_point for upload in uploads]
    points: dict[int, tuple[int, int]] = {}

    def predict(index: int) -> None:
        points[index] = client.predict(uploads[index]).salient_point

    threads = [threading.Thread(target=predict, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [points[index] for index in range(8)] == expected
