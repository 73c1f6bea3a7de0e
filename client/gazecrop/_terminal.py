"""Standard output and error as they are: closed, full, or unable to show a name."""

import codecs
import contextlib
import os
import sys
from typing import TextIO

from gazecrop._errors import InvalidArgument

AS_FAR_AS_SHOWN = "gazecrop.as_far_as_shown"


def prepare() -> None:
    """Let both streams take every name, and be there even where they are closed."""
    sys.stdout = sys.stdout or _open(os.O_RDONLY)  # what is written to it fails, as it should
    sys.stderr = sys.stderr or _open(os.O_WRONLY)  # there is nobody to tell
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=AS_FAR_AS_SHOWN)


def write_out(text: str | bytes) -> None:
    """Write to standard output, at once.

    Raises:
        InvalidArgument: it is closed or full.
        BrokenPipeError: whoever read it has seen enough.
    """
    try:
        if isinstance(text, bytes):
            sys.stdout.buffer.write(text)
        else:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        leave()
        raise InvalidArgument(f"cannot write to standard output: {error.strerror}") from error


def complain(text: str) -> None:
    """Write a line to standard error, if it takes any."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def leave() -> None:
    """Write nothing more to standard output, not even what is still buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def shown(name: object) -> str:
    """A name for people, who shall see a control character, and not what it does."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def _open(mode: int) -> TextIO:
    return open(os.open(os.devnull, mode), "w", encoding="utf-8")  # noqa: PTH123


def _as_far_as_shown(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of a file's name as they are; characters that an encoding lacks as escapes."""
    for handler in ("surrogateescape", "backslashreplace"):
        try:
            return codecs.lookup_error(handler)(error)
        except UnicodeEncodeError:
            continue
    raise error


codecs.register_error(AS_FAR_AS_SHOWN, _as_far_as_shown)
