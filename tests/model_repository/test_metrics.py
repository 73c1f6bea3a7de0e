"""The step's own metrics, as Prometheus reads them from a running server."""

import re
import urllib.request
from collections import defaultdict

import gazecrop
import numpy as np
import pytest
from numpy.typing import NDArray

from server import embedded
from tests.conftest import encode


def told(address: embedded.Address) -> dict[str, float]:
    """The values of all processes together, by name and labels."""
    url = f"http://{address.host}:{address.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=20) as response:
        text = response.read().decode()
    values: dict[str, float] = defaultdict(float)
    for name, labels, value in re.findall(r"^(gazecrop_\w+){(.*)} (\S+)$", text, re.MULTILINE):
        kept = [label for label in labels.split(",") if not label.startswith("process=")]
        values[" ".join([name, *sorted(kept)])] += float(value)
    return values


def gained(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_photos_are_counted_by_what_became_of_them(
    address: embedded.Address, client: gazecrop.Client, coffee: NDArray[np.uint8]
) -> None:
    jpeg, png = encode(coffee), encode(coffee, "PNG")
    before = told(address)
    for upload in (jpeg, png, png):
        client.predict(upload)
    for upload in (b"", b"not a photo", jpeg[:5000], png[:5000], bytes(21_000_000)):
        with pytest.raises(gazecrop.ImageRejected):
            client.predict(upload)
    counts = {
        name: value
        for name, value in gained(before, told(address)).items()
        if not name.startswith(("gazecrop_decode_seconds_bucket", "gazecrop_decode_seconds_sum"))
    }
    assert counts == {
        'gazecrop_decode_seconds_count format="JPEG"': 1,
        'gazecrop_decode_seconds_count format="PNG"': 2,
        'gazecrop_undecoded_photos_total cause="unusable"': 5,
        'gazecrop_unusable_photos_total format="unknown" reason="empty"': 1,
        'gazecrop_unusable_photos_total format="unknown" reason="unknown format"': 1,
        'gazecrop_unusable_photos_total format="JPEG" reason="damaged"': 1,
        'gazecrop_unusable_photos_total format="PNG" reason="damaged"': 1,
        'gazecrop_unusable_photos_total format="unknown" reason="too many bytes"': 1,
    }


def test_the_histogram_holds_the_time_of_each_photo(
    address: embedded.Address, client: gazecrop.Client, coffee: NDArray[np.uint8]
) -> None:
    before = told(address)
    client.predict(encode(coffee))
    spent = gained(before, told(address))
    seconds = spent['gazecrop_decode_seconds_sum format="JPEG"']
    assert 0 < seconds < 20
    edges = {
        float(edge): spent.get(f'gazecrop_decode_seconds_bucket format="JPEG" le="{edge}"', 0)
        for edge in ("0.001", "0.01", "0.1", "1", "5", "+Inf")
    }
    assert edges == {edge: float(seconds <= edge) for edge in edges}
