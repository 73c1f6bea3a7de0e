"""How far a command has come: one line on a terminal, nothing elsewhere."""

import sys
import time
from types import TracebackType

from gazecrop._terminal import complain, write_out

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

    def output(self, text: str) -> None:
        """A line of output, above the count.

        Raises:
            InvalidArgument, BrokenPipeError: as `write_out`.
        """
        self._clear()
        write_out(f"{text}\n")

    def error(self, text: str) -> None:
        """A line of error, above the count."""
        self.note(f"error: {text}")

    def note(self, text: str) -> None:
        """A line for people, above the count."""
        self._clear()
        complain(text)

    def _clear(self) -> None:
        if self.shown:
            print(CLEAR, end="", file=sys.stderr, flush=True)
