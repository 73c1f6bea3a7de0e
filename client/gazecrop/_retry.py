"""When a call that failed is tried again.

A prediction changes nothing on the server, so it may be sent twice. It is worth it for UNAVAILABLE
(nobody there, connection lost, queue full), and for NOT_FOUND and CANCELLED, with which a Triton
answers that unloads its models and stops.
"""

import logging
import random
import threading

import grpc

LOG = logging.getLogger("gazecrop")
LOG.addHandler(logging.NullHandler())  # a program that sets up no logging prints nothing

PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED)
FIRST_WAIT, LAST_WAIT = 0.1, 1.0  # seconds; each wait is twice the one before, ± 20 %
ATTEMPTS = 5
BUDGET = 1000  # failures beyond the successes; with half of them spent, nothing is tried again


class Budget:
    """Stops retries while most calls of a client fail, as gRPC does (its proposal A6)."""

    def __init__(self) -> None:
        self._left = BUDGET
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        if self._left < BUDGET:
            with self._lock:
                self._left = min(self._left + 1, BUDGET)

    def failed(self) -> bool:
        """Count a failure; whether another try is within the budget."""
        with self._lock:
            self._left = max(self._left - 1, 0)
        return self._left > BUDGET / 2


def backoff(attempt: int) -> float:
    """Seconds to wait after so many attempts."""
    return min(FIRST_WAIT * 2 ** (attempt - 1), LAST_WAIT) * random.uniform(0.8, 1.2)
