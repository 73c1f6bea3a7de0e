"""Crop photos where people will look.

```python
import gazecrop

with gazecrop.Client("localhost:8001") as client:
    for crop in client.crop("photo.jpg", ["16:9", "1:1"]):
        crop.save("photo.jpg", ...)
```
"""

from gazecrop._async_client import AsyncClient
from gazecrop._client import Client
from gazecrop._connection import TLS, Status
from gazecrop._crop import Crop, Padding
from gazecrop._errors import (
    DeadlineExceeded,
    GazecropError,
    ImageRejected,
    InvalidArgument,
    NoWindow,
    ServerFailed,
    ServerUnreachable,
)
from gazecrop._files import PHOTO_SUFFIXES
from gazecrop._geometry import Rect, parse_ratio
from gazecrop._overlay import overlay
from gazecrop._saliency import CropOptions, Saliency
from gazecrop._save import encode
from gazecrop._things import Cut
from gazecrop._thumbnail import ThumbnailOptions

__version__ = "0.1.0"

__all__ = [
    "PHOTO_SUFFIXES",
    "TLS",
    "AsyncClient",
    "Client",
    "Crop",
    "CropOptions",
    "Cut",
    "DeadlineExceeded",
    "GazecropError",
    "ImageRejected",
    "InvalidArgument",
    "NoWindow",
    "Padding",
    "Rect",
    "Saliency",
    "ServerFailed",
    "ServerUnreachable",
    "Status",
    "ThumbnailOptions",
    "__version__",
    "encode",
    "overlay",
    "parse_ratio",
]
