"""What a server may take in /dev/shm, where photos pass between Triton and its Python backend."""

import math
import shutil
import sys

from server import leftovers
from server.errors import ServerError
from server.instances import OVERHEAD, UPLOAD, Instances, suited_to


def share(cores: int) -> tuple[Instances, int]:
    """What suits these cores and the room in /dev/shm, and the bytes that a process may take there.

    Raises:
        ServerError: there is too little for one large photo.
    """
    room = shutil.disk_usage(leftovers.SHARED_MEMORY).free
    suited, wanted = suited_to(cores, room), suited_to(cores)
    right = f"for {cores} cores {_mib(wanted.shared_memory())} are right"
    if suited.region(room) < UPLOAD + OVERHEAD:
        raise ServerError(
            f"/dev/shm has room for {_mib(room)}, too little for one large photo; {right} "
            "(docker run --shm-size)"
        )
    if suited != wanted:
        print(
            f"warning: /dev/shm has room for {_mib(room)}; {right}, so that fewer photos are "
            "decoded at once",
            file=sys.stderr,
        )
    return suited, suited.region(room)


def _mib(size: int) -> str:
    return f"{math.ceil(size / 2**20)} MiB"
