"""Crop photos where people will look.

import gazecrop

with gazecrop.Client("localhost:8001") as client:
    for crop in client.crop("photo.jpg", ["16:9", "1:1"]):
        crop.apply("photo.jpg").save(...)
"""

from gazecrop._client import Client
from gazecrop._crop import Crop, Rect
from gazecrop._errors import (
    DeadlineExceeded,
    GazecropError,
    ImageRejected,
    InvalidArgument,
    ServerFailed,
    ServerUnreachable,
)
from gazecrop._overlay import overlay
from gazecrop._saliency import Saliency

__all__ = [
    "Client",
    "Crop",
    "DeadlineExceeded",
    "GazecropError",
    "ImageRejected",
    "InvalidArgument",
    "Rect",
    "Saliency",
    "ServerFailed",
    "ServerUnreachable",
    "overlay",
]
