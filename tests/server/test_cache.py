import re
import urllib.request
from pathlib import Path

import gazecrop
import numpy as np
import pytest

from tests.conftest import serving

PHOTO = Path(__file__).parents[2] / "docs" / "photo.jpg"


def test_repeated_uploads_come_from_the_cache_when_asked_for(tmp_path: Path) -> None:
    upload = PHOTO.read_bytes()
    with (
        serving(tmp_path, options=("--cache-config=local,size=1048576",)) as address,
        gazecrop.Client(f"{address.host}:{address.grpc}", timeout=20) as client,
    ):
        first, second, other = map(client.predict, (upload, upload, upload + b"\0"))
        for _ in range(2):
            with pytest.raises(gazecrop.ImageRejected):
                client.predict(upload[:500])
        url = f"http://{address.host}:{address.metrics}/metrics"
        metrics = urllib.request.urlopen(url).read().decode()
    assert np.array_equal(first.density, second.density)
    assert np.array_equal(first.density, other.density)
    assert re.search(r'^nv_cache_num_hits_per_model{model="saliency".*} 1$', metrics, re.MULTILINE)
