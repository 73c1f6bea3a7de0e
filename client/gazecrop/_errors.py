"""What can go wrong.

    GazecropError
    ├── InvalidArgument     the call makes no sense (also a ValueError); nothing was sent
    ├── ImageRejected       the server cannot use this photo; the message is its reason
    ├── ServerUnreachable   nobody answers at this address; trying again later is safe
    ├── DeadlineExceeded    no answer in time (also a TimeoutError)
    └── ServerFailed        the server answered with any other error

A service that must always show something catches `GazecropError` and takes a centred crop.
"""


class GazecropError(Exception):
    """Any failure of gazecrop."""


class InvalidArgument(GazecropError, ValueError):
    """The call makes no sense; nothing was sent."""


class ImageRejected(GazecropError):
    """The server cannot use this photo; the message is its reason."""


class ServerUnreachable(GazecropError):
    """Nobody answers at this address; trying again later is safe."""


class DeadlineExceeded(GazecropError, TimeoutError):
    """The server did not answer in time."""


class ServerFailed(GazecropError):
    """The server answered with an error that is not about the photo."""
