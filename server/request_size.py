"""Bound the requests that Triton 2.51 takes over gRPC.

It takes any of up to 2 GiB, and has no option that says otherwise. What is larger than the bound is
refused (RESOURCE_EXHAUSTED) when it has told its size, before it is received.
"""

import struct
from pathlib import Path

from server.errors import ServerError

# movl $0x7fffffff,0x50(%r13): the largest message, of grpc::ServerBuilder in Triton's gRPC server
LARGEST = b"\x41\xc7\x45\x50"
UNBOUNDED = struct.pack("<i", 2**31 - 1)


def bound(binary: Path, size: int) -> None:
    """Change a copy of tritonserver.

    Args:
        size: bytes of a request at most.

    Raises:
        ServerError: it is of another release, which is to be looked at.
    """
    code = binary.read_bytes()
    if code.count(LARGEST + UNBOUNDED) != 1:
        raise ServerError(f"{binary.name} is not that of nvidia-pytriton 0.7.0: install that")
    binary.write_bytes(code.replace(LARGEST + UNBOUNDED, LARGEST + struct.pack("<i", size)))
