from pathlib import Path

import pytest

from perf.instruments import analyzer
from perf.instruments.analyzer import AnalyzerError, Figures, Load, measure, parse, send
from perf.instruments.photos import jpeg
from perf.instruments.statistics import Statistics
from perf.measurements.load import markdown, point

HEADER = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,"
    "Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,"
    "p50 latency,p90 latency,p95 latency,p99 latency\n"
)


def test_figures_are_read_from_the_csv() -> None:
    row = "1,162.519,8,221,1,45,5191,641,3,5646,7037,8927,15641\n"
    assert parse([HEADER, row]) == Figures(162.519, 5.646, 8.927, 15.641)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [HEADER],
        [HEADER, "1,162.5\n"],
        [HEADER.replace("p99 latency", "p98"), "1," * 12 + "1\n"],
    ],
)
def test_a_csv_without_figures_is_an_error(lines: list[str]) -> None:
    with pytest.raises(AnalyzerError, match="figures"):
        parse(lines)


def test_a_load_is_closed_or_open() -> None:
    assert Load(concurrency=4).arguments() == ["--concurrency-range", "4"]
    assert "poisson" in Load(rate=20.0).arguments()
    for wrong in ({}, {"concurrency": 4, "rate": 20.0}):
        with pytest.raises(ValueError, match="either"):
            Load(**wrong)


@pytest.mark.parametrize("load", [Load(concurrency=2), Load(rate=30.0)])
def test_a_load_on_the_ensemble(grpc: str, load: Load) -> None:
    done = point(grpc, 0.3, load, window_ms=1000)
    figures, split = done.figures, done.split
    assert 0 < figures.p50 <= figures.p95 <= figures.p99
    assert figures.rate > 3
    assert list(split.steps) == ["preprocess", "student"]
    parts = split.queue + sum(step.compute for step in split.steps.values())
    assert 0.5 * split.total < parts < 1.5 * split.total
    assert all(step.batch >= 1 for step in split.steps.values())
    assert f"| 0.3 MP | {load} |" in markdown([done])


def test_so_many_requests_are_sent(grpc: str) -> None:
    with Statistics(grpc) as statistics:
        before = statistics.read()
        send(grpc, jpeg(0.3), 40, concurrency=4)
        assert statistics.read()["saliency"].requests - before["saliency"].requests >= 40


def test_nothing_answered_has_no_split(grpc: str) -> None:
    with Statistics(grpc) as statistics, pytest.raises(ValueError, match="no request"):
        statistics.since(statistics.read())


def test_without_the_binary_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(analyzer, "BINARY", tmp_path / "perf_analyzer")
    with pytest.raises(AnalyzerError, match=r"python -m perf\.instruments\.install"):
        measure("localhost:1", [b""], Load(concurrency=1))


def test_a_refused_upload_is_an_error_with_the_servers_reason(grpc: str) -> None:
    with pytest.raises(AnalyzerError, match="not an image"):
        measure(grpc, [b"no photo"], Load(concurrency=1), window_ms=200)
