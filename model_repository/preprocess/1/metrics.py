"""What this step adds to Triton's metrics: decoded photos and their times, and those that were not.

To tell Triton a figure takes some 50 µs, so a photo that goes well tells one: the count of the
histogram is that of the decoded photos.
"""

import os
from functools import cache
from typing import Any

import triton_python_backend_utils as pb_utils

SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]  # upper edges


class Metrics:
    """Each process has series of its own: Triton drops those of one that ends, shared ones too."""

    def __init__(self) -> None:
        self._process = str(os.getpid())
        counter, histogram = pb_utils.MetricFamily.COUNTER, pb_utils.MetricFamily.HISTOGRAM
        self._seconds = pb_utils.MetricFamily(
            name="gazecrop_decode_seconds",
            description="Time to decode and shrink a photo",
            kind=histogram,
        )
        self._undecoded = pb_utils.MetricFamily(
            name="gazecrop_undecoded_photos_total",
            description="Photos not decoded: unusable (the caller's) or for a defect (ours)",
            kind=counter,
        )
        self._unusable = pb_utils.MetricFamily(
            name="gazecrop_unusable_photos_total",
            description="Photos refused as INVALID_ARGUMENT, by reason and format",
            kind=counter,
        )
        self._series = cache(self._new_series)
        # A series that begins with its first photo hides that photo from rate().
        self._series(self._seconds, format="JPEG")
        self._series(self._unusable, reason="damaged", format="JPEG")
        for cause in ("unusable", "defect"):
            self._series(self._undecoded, cause=cause)

    def decoded(self, format: str, seconds: float) -> None:
        self._series(self._seconds, format=format).observe(seconds)

    def unusable(self, reason: str, format: str) -> None:
        self._series(self._undecoded, cause="unusable").increment(1)
        self._series(self._unusable, reason=reason, format=format).increment(1)

    def failed(self) -> None:
        self._series(self._undecoded, cause="defect").increment(1)

    def _new_series(self, family: Any, **labels: str) -> Any:
        buckets = {"buckets": SECONDS} if family is self._seconds else {}
        return family.Metric(labels={**labels, "process": self._process}, **buckets)
