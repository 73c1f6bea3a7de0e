"""Options that close the APIs of a tritonserver that nobody needs for predictions."""

from collections.abc import Sequence

KEY = "gazecrop-secret"  # the header that opens what is closed
CLOSED = "shared-memory,model-repository,trace,logging,model-config"
NAMES = ("--http-restricted-api", "--grpc-restricted-protocol")


def closing(secret: str, given: Sequence[str]) -> list[str]:
    """Options that close them behind a secret, but for a protocol of which those given speak."""
    return [f"{name}={CLOSED}:{KEY}={secret}" for name in NAMES if not names(name, given)]


def names(name: str, options: Sequence[str]) -> bool:
    """Whether one of the options is that of the name."""
    return any(option.partition("=")[0] == name for option in options)
