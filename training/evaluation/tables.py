"""Tables of means over photos, with bootstrap intervals, as Markdown and as JSON."""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


class Interval(NamedTuple):
    """A mean over photos, with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


Row: TypeAlias = dict[str, Interval]  # by column
Table: TypeAlias = Mapping[str, Row]  # by predictor


def resample_weights(photos: int) -> NDArray[np.float64]:
    """The weight of each photo, [1 + RESAMPLES, photos]: first all alike, then as drawn."""
    drawn = np.random.default_rng(0).multinomial(photos, np.full(photos, 1 / photos), RESAMPLES)
    return np.concatenate([np.ones((1, photos)), drawn]) / photos


def interval(mean: float, resampled: NDArray[np.float64]) -> Interval:
    """Resamples whose centred crops are the best possible have no gap to close, and no say."""
    defined = resampled[~np.isnan(resampled)]
    low, high = np.percentile(defined, (2.5, 97.5)) if len(defined) else (math.nan, math.nan)
    return Interval(float(mean), float(low), float(high))


def mean_over_sets(tables: Sequence[Table], columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """The mean of each column over the sets that have it, for the predictors that all sets have.

    Every set counts alike, however many photos it has.
    """
    common = [name for name in tables[0] if all(name in table for table in tables)]
    means: dict[str, dict[str, float]] = {name: {} for name in common}
    for name in common:
        for column in columns:
            values = [table[name][column].mean for table in tables if column in table[name]]
            if values:
                means[name][column] = float(np.mean(values))
    return means


def markdown(title: str, table: Table) -> str:
    """A set's table."""
    columns = list(next(iter(table.values())))
    cells = {name: [_cell(interval) for interval in row.values()] for name, row in table.items()}
    return _markdown(title, columns, cells)


def means_markdown(title: str, means: Mapping[str, Mapping[str, float]]) -> str:
    """The table of `mean_over_sets`."""
    columns = list(next(iter(means.values())))
    cells = {name: [f"{value:.3f}" for value in row.values()] for name, row in means.items()}
    return _markdown(title, columns, cells)


def _markdown(title: str, columns: Sequence[str], cells: Mapping[str, Sequence[str]]) -> str:
    return f"{title}\n\n" + rows_markdown(["", *columns], ([k, *row] for k, row in cells.items()))


def rows_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of texts."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(interval: Interval) -> str:
    if math.isnan(interval.mean):
        return "–"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def as_json(table: Table) -> dict[str, dict[str, dict[str, float | None]]]:
    """The same with unrounded numbers; JSON has no NaN, so null stands for it."""
    return {
        name: {
            column: {k: None if math.isnan(v) else v for k, v in interval._asdict().items()}
            for column, interval in row.items()
        }
        for name, row in table.items()
    }


def json_file(text: str) -> Path:
    """An argument that names a JSON file to write: said before the work, not after it.

    Raises:
        argparse.ArgumentTypeError: it names something else.
    """
    path = Path(text)
    if path.suffix != ".json" or path.is_dir():
        raise argparse.ArgumentTypeError(f"a file is called FILE.json, not {text!r}")
    return path


def write_json(file: Path, numbers: Mapping[str, object]) -> None:
    """Write a file, and its folder where there is none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(numbers, indent=2) + "\n", "utf-8")
