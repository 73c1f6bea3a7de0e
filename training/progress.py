"""Progress bars, on stderr: what a command prints stays its result alone."""

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


def bar(disable: bool = False) -> Progress:
    """A bar whose tasks have a `note`, the text beside it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=disable,
    )


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """The items one by one; no bar where there are none.

    Args:
        total: how many there are, if the items do not know.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(disable=total == 0 or not description) as progress:
        task = progress.add_task(description, total=total, note="")
        yield from progress.track(items, total=total, task_id=task)
