"""Triton's perf_analyzer: loads a running server with one upload and measures its answers."""

import base64
import csv
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.instruments.install import BINARY, LIBRARIES

MODEL = "saliency"
WINDOWS = 3  # perf_analyzer takes that many to call a load steady, and merges them
WINDOW_MS = 1200

ENVIRONMENT = {
    "LD_LIBRARY_PATH": str(LIBRARIES),
    # It copies every upload: in memory that it keeps, or it takes a tenth of the cores itself.
    "MALLOC_MMAP_THRESHOLD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}


class AnalyzerError(Exception):
    """perf_analyzer gave no figures: a request failed, say. The message says why."""


@dataclass(frozen=True)
class Load:
    """What is asked of the server.

    Attributes:
        concurrency: requests in flight all the time, or
        rate: requests a second, sent at random times (a Poisson process), answered or not.
    """

    concurrency: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError("a load has either a concurrency or a rate")

    def __str__(self) -> str:
        return f"{self.concurrency}" if self.rate is None else f"{self.rate:.0f}/s"

    def arguments(self) -> list[str]:
        if self.rate is None:
            return ["--concurrency-range", str(self.concurrency)]
        rate = ["--request-rate-range", f"{self.rate:.2f}", "--request-distribution", "poisson"]
        return [*rate, "--async"]  # else no more than 16 requests would be in flight


@dataclass(frozen=True)
class Figures:
    """What perf_analyzer measured.

    Attributes:
        rate: photos answered a second.
        p50, p95, p99: milliseconds from a request to its answer.
    """

    rate: float
    p50: float
    p95: float
    p99: float


def parse(lines: Iterable[str]) -> Figures:
    """The figures in perf_analyzer's CSV of one load; its latencies are in microseconds.

    Raises:
        AnalyzerError: it holds none, or lacks a column.
    """
    row = next(csv.DictReader(lines, restval=""), None)
    if row is None:
        raise AnalyzerError("perf_analyzer wrote no figures")
    try:
        latencies = (float(row[f"p{share} latency"]) / 1000 for share in (50, 95, 99))
        return Figures(float(row["Inferences/Second"]), *latencies)
    except (KeyError, ValueError) as error:
        raise AnalyzerError(f"perf_analyzer's figures cannot be read: {error}") from error


def measure(
    server: str, uploads: Sequence[bytes], load: Load, window_ms: int = WINDOW_MS
) -> Figures:
    """Send uploads in turn over and over, for three windows.

    Raises:
        AnalyzerError: a request failed; perf_analyzer stops at the first.
    """
    windows = ["-p", str(window_ms), "-r", str(WINDOWS), "-s", "999"]
    return _run(server, uploads, [*load.arguments(), *windows])


def send(server: str, upload: bytes, requests: int, concurrency: int) -> None:
    """Send an upload that often.

    Raises:
        AnalyzerError: a request failed.
    """
    load = Load(concurrency=concurrency)
    _run(server, [upload], [*load.arguments(), "--request-count", str(requests)])


def _run(server: str, uploads: Sequence[bytes], arguments: list[str]) -> Figures:
    if not BINARY.is_file():
        raise AnalyzerError(
            "perf_analyzer is not installed; install it: python -m perf.instruments.install"
        )
    with tempfile.TemporaryDirectory() as folder:
        data, table = Path(folder) / "input.json", Path(folder) / "table.csv"
        data.write_text(json.dumps({"data": [{"IMAGE": _tensor(upload)} for upload in uploads]}))
        command = [str(BINARY), "-m", MODEL, "-i", "grpc", "-u", server]
        done = subprocess.run(
            [*command, "--input-data", str(data), "-f", str(table), *arguments],
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AnalyzerError(f"perf_analyzer failed: {done.stderr.strip() or done.stdout}")
        with table.open(newline="") as lines:
            return parse(lines)


def _tensor(upload: bytes) -> dict[str, object]:
    """A BYTES element, as Triton stores it: its length, then itself."""
    element = len(upload).to_bytes(4, "little") + upload
    return {"b64": base64.b64encode(element).decode(), "shape": [1]}
