"""Files that are either whole or not there."""

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
