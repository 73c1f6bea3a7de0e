"""The web front: windows over plain HTTP, and a page to look at them.

    python -m gazecrop.web --server localhost:8001     beside a running server
    make web                                           both together, from a checkout

It needs the extra `gazecrop[web]`. `application` is an ASGI application, for any ASGI server.
"""

from gazecrop.web.app import application
from gazecrop.web.reading import Limits

__all__ = ["Limits", "application"]
