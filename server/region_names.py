"""Keep the names of shared memory out of the errors of Triton 2.51's Python backend.

Where a region cannot grow, its error names the region to the client, which is the first step of
an attack (CVE-2025-23320). Later releases name none. The same instructions stand in the backend's
library and in its stubs: the one that hands over the name now hands over the size instead.
"""

import re
from pathlib import Path

# mov 0x70(%r12),%rax … call to_string(%r13) … mov %r12,%rdx (the name); lea "… for key '",%rsi
NAMED = re.compile(
    rb"(\x49\x8b\x44\x24\x70\x48\x8b\x30\xe8.{4}\x4c\x8d\x74\x24\x40\x4c\x89)\xe2(\x48\x8d\x35)",
    re.DOTALL,
)


def hide(binary: Path) -> None:
    """Change a copy of the library or of a stub.

    Raises:
        ValueError: it is of another release, which is to be looked at.
    """
    changed, times = NAMED.subn(lambda code: code[1] + b"\xea" + code[2], binary.read_bytes())
    if times != 1:
        raise ValueError(f"{binary.name} is not that of nvidia-pytriton 0.7.0")
    binary.write_bytes(changed)
