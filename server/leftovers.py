"""Names in /tmp and /dev/shm that die with their server, also where it was killed.

A server holds a lock beside its files. Whoever starts the next one removes the files whose lock
nobody holds: a volume for /dev/shm outlives the containers of a pod.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "gazecrop-"


@contextlib.contextmanager
def claim() -> Iterator[str]:
    """Remove what dead servers left; a name for the files of this one, removed at the end.

    Raises:
        OSError: /tmp or /dev/shm cannot be written to.
    """
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as stack:
        for place in (Path(tempfile.gettempdir()), SHARED_MEMORY):
            sweep(place)
            lock = _locked(place / f"{name}.lock")
            stack.callback(lock.close)
            stack.callback(remove, place, name)
        yield name


def region_prefix(name: str) -> str:
    """Triton's option by which all regions of its Python backend are called so."""
    return f"--backend-config=python,shm-region-prefix-name={name}-"


def sweep(place: Path) -> None:
    """Remove the files of servers that are no more, as far as they are this user's."""
    for path in place.glob(f"{PREFIX}*.lock"):
        with contextlib.suppress(OSError), path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(place, path.stem)


def remove(place: Path, name: str, keep_lock: bool = False) -> None:
    """Remove all whose names begin so; the lock last, for whoever is interrupted."""
    lock = place / f"{name}.lock"
    for path in set(place.glob(f"{name}*")) - {lock}:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not keep_lock:
        lock.unlink(missing_ok=True)


def _locked(path: Path) -> IO[str]:
    while True:
        lock = path.open("w")
        os.set_inheritable(lock.fileno(), True)  # a program in the place of this one keeps it
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                return lock
        lock.close()  # a sweep came between the two, and removed it
