"""A limit of calls in flight: the others wait for their turn, first come, first served."""

import threading
from collections import deque
from concurrent.futures import Future


class Turns:
    """So many at a time, in threads and event loops alike."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def take(self) -> "Future[None] | None":
        """Take a place, or get in line: then it is taken when this future ends."""
        with self._lock:
            if self._free:
                self._free -= 1
                return None
            waiter: Future[None] = Future()
            self._waiting.append(waiter)
            return waiter

    def give(self) -> None:
        """Give a place back."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                if waiter.set_running_or_notify_cancel():
                    waiter.set_result(None)
                    return
            self._free += 1

    def give_up(self, waiter: "Future[None]") -> None:
        """Wait no longer."""
        if not waiter.cancel():  # the place came meanwhile
            self.give()
