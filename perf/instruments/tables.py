"""Tables for people and for Markdown."""

from collections.abc import Iterable, Sequence

from training.evaluation.tables import rows_markdown


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a number is written with three significant digits, None as a dash."""
    return rows_markdown(columns, ([_cell(cell) for cell in row] for row in rows))


def _cell(value: object) -> str:
    return value if isinstance(value, str) else number(value)


def number(value: object) -> str:
    """Three significant digits, no exponent."""
    if value is None:
        return "–"
    if isinstance(value, float):
        decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:.{decimals}f}"
    return str(value)
