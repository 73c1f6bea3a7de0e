"""Let Triton 2.51's Python backend say UNAVAILABLE where its shared memory has no room.

It says INTERNAL, as of a defect. But a request does not fit for its own size, or for that of the
one beside it in a batch; then it may fit elsewhere or a moment later, and callers try again.
"""

import re
from pathlib import Path

from server.errors import ServerError

# mov %rax,%rdi; mov (%rax),%rax; call *0x10(%rax) (the exception's text); mov $1,%edi (INTERNAL);
# mov %rax,%rsi; call TRITONSERVER_ErrorNew: as in its macros for what shared memory throws
CAUGHT = re.compile(
    rb"(\x48\x89\xc7\x48\x8b\x00\xff\x50\x10\xbf)\x01(\0\0\0\x48\x89\xc6\xe8)", re.DOTALL
)
TIMES = 19
UNAVAILABLE = b"\x04"  # TRITONSERVER_ERROR_UNAVAILABLE


def name(library: Path) -> None:
    """Change a copy of the backend's library.

    Raises:
        ServerError: it is of another release, which is to be looked at.
    """
    changed, times = CAUGHT.subn(lambda code: code[1] + UNAVAILABLE + code[2], library.read_bytes())
    if times != TIMES:
        raise ServerError(f"{library.name} is not that of nvidia-pytriton 0.7.0: install that")
    library.write_bytes(changed)
