"""How far a command has come: one line on a terminal, nothing elsewhere."""

import sys
import time
from types import TracebackType
from typing import TextIO

EVERY = 0.1  # seconds
CLEAR = "\r\033[K"


class Progress:
    """Counts finished photos on standard error."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.shown = total > 1 and sys.stderr.isatty()
        self.started = self.last = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()

    def advance(self, failures: int) -> None:
        """One more is done."""
        self.done += 1
        now = time.monotonic()
        if self.shown and (now - self.last > EVERY or self.done == self.total):
            self.last = now
            failed = f", {failures} failed" if failures else ""
            rate = self.done / (now - self.started)
            line = f"{CLEAR}{self.done}/{self.total} photos{failed}, {rate:.0f} a second"
            print(line, end="", file=sys.stderr, flush=True)

    def print(self, text: str, file: TextIO) -> None:
        """A line of output or error, above the count."""
        self._clear()
        print(text, file=file, flush=True)

    def _clear(self) -> None:
        if self.shown:
            print(CLEAR, end="", file=sys.stderr, flush=True)
