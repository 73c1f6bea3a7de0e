"""What is sent: large JPEG files and PIL images as small copies, the rest as it is."""

import gazecrop
import numpy as np
import pytest
from gazecrop._photo import SHRUNK_SIDE, upload
from gazecrop._window import kept
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import encode

RATIOS = ("16:9", "1:1", "4:5", "1:2")


@pytest.fixture(scope="module", params=["coffee", "astronaut"])
def large(request: pytest.FixtureRequest) -> Image.Image:
    """A photo of 12 megapixels with a sensor's noise."""
    small = Image.fromarray(request.getfixturevalue(request.param))
    scale = (12e6 / (small.width * small.height)) ** 0.5
    size = round(small.width * scale), round(small.height * scale)
    pixels = np.asarray(small.resize(size, Image.Resampling.LANCZOS), np.int16)
    noise = np.random.default_rng(0).integers(-5, 6, (size[1], size[0], 1), np.int16)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def test_a_large_jpeg_is_sent_small_and_cropped_the_same(grpc: str, large: Image.Image) -> None:
    data = encode(large, quality=90)
    assert len(data) > 2**20
    assert len(upload(data, 2**20).data) < len(data) / 10
    with gazecrop.Client(grpc) as client, gazecrop.Client(grpc, shrink_above=None) as plain:
        small, full = client.predict(data), plain.predict(data)
    assert small.size == full.size == large.size
    for ratio in RATIOS:
        rect, best = small.crop(ratio).rect, full.crop(ratio)
        assert rect[2:] == best.rect[2:]
        # Where a window may move without losing anything it does; what it keeps is compared.
        assert kept(full.density, full.size, rect) > best.kept - 0.005


def test_a_small_copy_is_upright(grpc: str, large: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(large.transpose(Image.Transpose.ROTATE_90), exif=exif)
    sent = upload(data, 1000)
    assert sent.size == large.size
    with gazecrop.Client(grpc, shrink_above=1000) as client:
        expected = client.predict(encode(large))
        turned = client.predict(data)
    assert turned.size == large.size
    assert np.abs(turned.density - expected.density).sum() < 0.1


def test_a_pil_image_is_sent_small(client: gazecrop.Client, large: Image.Image) -> None:
    sent = upload(large, None)
    assert sent.size == large.size
    assert len(sent.data) < 400_000
    assert client.predict(large).size == large.size


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_pil_images_of_all_kinds_are_sent(mode: str, client: gazecrop.Client) -> None:
    assert client.predict(Image.new(mode, (1500, 900))).size == (1500, 900)


def test_what_the_server_should_judge_is_sent_as_it_is(coffee: NDArray[np.uint8]) -> None:
    jpeg = encode(coffee)
    for data in (
        encode(coffee, "PNG"),
        jpeg[: len(jpeg) // 2],
        b"\xff\xd8 no photo",
        jpeg + b"\xff\xda" * 40,  # as many scans as a hostile file has
    ):
        assert upload(data, 100).data == data
    assert upload(jpeg, None).data == jpeg
    assert upload(jpeg, len(jpeg)).data == jpeg


def test_small_copies_keep_what_the_network_sees(large: Image.Image) -> None:
    sent = upload(encode(large), 1000)
    assert max(gazecrop._photo.decoded(sent.data)[0].size) >= SHRUNK_SIDE
