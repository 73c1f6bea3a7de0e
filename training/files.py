"""Files that are either whole or not there, and their names by what is in them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path, rename: bool = True) -> Iterator[Path]:
    """Where to write what `path` will hold: an interrupt never leaves half a file there.

    Args:
        rename: false in processes that take part in the writing but do not finish it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    yield partial
    if rename:
        partial.replace(path)


def digest(path: Path) -> str:
    """The first 12 digits of a file's SHA-256, by which answers name a network, too."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
