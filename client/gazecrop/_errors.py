"""What can go wrong.

    GazecropError
    ├── InvalidArgument     the call makes no sense (also a ValueError); nothing was sent
    ├── NoWindow            no crop meets the caller's demands
    ├── ImageRejected       the server cannot use this photo; the message is its reason
    ├── ServerUnreachable   nobody answers, or all are too busy; trying again later is safe
    ├── DeadlineExceeded    no answer in time (also a TimeoutError)
    └── ServerFailed        the server answered with any other error

A service that must always show something catches `GazecropError` and takes a centred crop.
"""


class GazecropError(Exception):
    """Any failure of gazecrop."""


class InvalidArgument(GazecropError, ValueError):
    """The call makes no sense; nothing was sent."""


class NoWindow(GazecropError):
    """No window of this size holds what the caller keeps and leaves out what it avoids."""


class ImageRejected(GazecropError):
    """The server cannot use this photo; the message is its reason."""


class ServerUnreachable(GazecropError):
    """Nobody answers at this address, or its queue is full; trying again later is safe."""


class DeadlineExceeded(GazecropError, TimeoutError):
    """The server did not answer in time."""


class ServerFailed(GazecropError):
    """The server answered with an error that is not about the photo."""
