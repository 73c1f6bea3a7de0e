"""How a figure, a row and a table are written in the documents."""

from collections.abc import Iterable, Mapping

from training.evaluation.tables import rows_markdown

GAZECROP, INTEGERS = "gazecrop", "gazecrop, 8 bits"


def interval(value: Mapping[str, float]) -> str:
    """Of a row that is 0 or 1 by definition there is nothing to estimate."""
    if value["low"] == value["mean"] == value["high"]:
        return f"{value['mean']:.0f}"
    mean, low, high = (f"{round(value[key], 2) + 0.0:.2f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def points(value: Mapping[str, float]) -> str:
    """A difference of two shares, in points of a hundred."""
    mean, low, high = (
        f"{round(100 * value[key], 1) + 0.0:+.1f}" for key in ("mean", "low", "high")
    )
    return f"{mean} [{low}, {high}]"


def percent(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.0%} [{value['low']:.0%}, {value['high']:.0%}]"


def ratio(slow: float, fast: float) -> str:
    return f"{slow / fast:.1f}×"


def two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.{1 if value < 10 else 0}f}"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return rows_markdown(list(columns), map(_bold, rows))


def _bold(row: Iterable[str]) -> list[str]:
    first, *rest = row
    return [f"**{first}**" if first == GAZECROP else first, *rest]
