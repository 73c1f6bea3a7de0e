import io

import pytest
from PIL import Image

from perf.instruments.photos import jpeg


@pytest.mark.parametrize("megapixels", [0.3, 2, 12])
def test_photos_have_their_size_and_a_cameras_detail(megapixels: float) -> None:
    upload = jpeg(megapixels)
    with Image.open(io.BytesIO(upload)) as photo:
        assert photo.format == "JPEG"
        pixels = photo.width * photo.height
    assert pixels == pytest.approx(megapixels * 1e6, rel=0.005)
    assert 0.25 <= len(upload) / pixels <= 0.35


def test_photos_are_the_same_every_time() -> None:
    assert jpeg(0.3) == jpeg.__wrapped__(0.3)
