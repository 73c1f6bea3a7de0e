"""The processes of a tritonserver that run its models, watched for their deaths."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

LEADER = "tritonserver"
AT_WORK, STOPPED = "RD", "T"  # states of a thread, as proc(5) calls them


class Processes:
    """A tritonserver and its children, of which each instance of a Python model is one."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._poll = select.poll()
        self._watched: dict[int, tuple[int, str]] = {}  # by descriptor: process, name
        self._stopped: dict[int, float] = {}  # by process: since when
        self._watch(leader, LEADER)

    def look(self, instances: set[str]) -> set[str]:
        """Watch those that run one of the instances; the instances that none runs."""
        watched = {process for process, _ in self._watched.values()}
        for process in set(_children(self._leader)) - watched:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                arguments = Path(f"/proc/{process}/cmdline").read_text().split("\0")
                for name in instances.intersection(arguments):
                    self._watch(process, name)
        return instances - {name for _, name in self._watched.values()}

    def deaths(self, seconds: float) -> set[str]:
        """The names of those that have died, waiting for one as long as this."""
        died = set()
        for descriptor, _ in self._poll.poll(seconds * 1000):
            self._poll.unregister(descriptor)
            os.close(descriptor)
            died.add(self._watched.pop(descriptor)[1])
        return died

    def kill_stopped(self, seconds: float) -> set[str]:
        """Kill those that a signal has kept from running for so long; their names.

        Triton calls them alive, and what it has given them is lost to its callers either way.
        """
        now, names = time.monotonic(), set()
        stopped = {process: name for process, name in self._watched.values() if _stopped(process)}
        self._stopped = {process: self._stopped.get(process, now) for process in stopped}
        for process, name in stopped.items():
            if now - self._stopped[process] > seconds:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                names.add(name)
        return names

    def are_at_work(self) -> bool:
        """Whether one that runs an instance computes, or waits for a processor to do so."""
        for process, name in self._watched.values():
            if name != LEADER:
                for stat in Path(f"/proc/{process}/task").glob("*/stat"):
                    with contextlib.suppress(OSError):  # it has ended meanwhile
                        if _state(stat) in AT_WORK:
                            return True
        return False

    def close(self) -> None:
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched.clear()

    def _watch(self, process: int, name: str) -> None:
        descriptor = os.pidfd_open(process)
        self._watched[descriptor] = process, name
        self._poll.register(descriptor, select.POLLIN)


def _stopped(process: int) -> bool:
    try:
        return _state(Path(f"/proc/{process}/stat")) == STOPPED
    except OSError:  # it has ended meanwhile
        return False


def _state(stat: Path) -> str:
    return stat.read_text().rpartition(") ")[2][0]


def _children(parent: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(") ")[2].split()[1]) == parent:
                yield int(stat.parent.name)
