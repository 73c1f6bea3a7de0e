import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from perf import overload, peers, quality
from perf.analyzer import Figures, Load
from perf.cache import Cached
from perf.growth import Endurance, Instances
from perf.inprocess import Bound
from perf.load import Point
from perf.markdown import number, table
from perf.overload import Answer, Overload
from perf.peers import Speed
from perf.plots import draw_load, draw_quality
from perf.report import markdown
from perf.repository import INT8_INSTRUCTIONS, MODELS, network_file
from perf.results import Results
from perf.statistics import Split, Step

SPLIT = Split(10.0, {"preprocess": Step(2.0, 5.0, 1.5), "student": Step(1.0, 1.5, 2.0)})
CLOSED = [(0.5, 1), *((megapixels, n) for megapixels in (0.3, 2, 12) for n in (1, 2, 4, 8, 16))]
RESULTS = Results(
    networks={"onnxruntime": {"student": 3.0, "Twitter's": 36.0}},
    bounds=[Bound(megapixels, 5.0, 1.0, 200.0) for megapixels in (0.3, 0.5, 2, 12)],
    points=[
        *(
            Point(megapixels, Load(concurrency=n), Figures(180.0, 9.0, 11.0, 12.0), SPLIT)
            for megapixels, n in CLOSED
        ),
        Point(2, Load(rate=90.0), Figures(90.0, 7.0, 9.0, 14.0), SPLIT),
    ],
    overload=Overload(
        150.0, 300.0, 145.0, 30.0, 60.0, 900, 1.0, 4.0, {"DEADLINE_EXCEEDED": 2}, 0.06
    ),
    speeds={2: {peers.GAZECROP: Speed(6.0, 300.0), peers.TWITTER: Speed(60.0, 30.0)}},
    instances=[Instances(1, 1, 150.0, 80.0), Instances(2, 1, 180.0, 60.0)],
    cached=Cached(
        without=Figures(180.0, 9.0, 11.0, 12.0),
        missed=Figures(171.0, 9.0, 11.0, 12.0),
        hit=Figures(1350.0, 4.0, 6.0, 7.0),
    ),
    endurance=Endurance(3.5, {2000: 300.0, 10_000: 302.0, 20_000: 301.5}),
    neighbours=0.05,
)
GAPS = {"osie": {peers.GAZECROP: 0.64, peers.TWITTER: -0.8}}


def test_the_report_says_what_was_found() -> None:
    text = markdown(RESULTS, GAPS)
    assert "90% of the 200 that" in text
    assert "12.0 times as long" in text
    assert "10.0 times those of Twitter's tool" in text
    assert "6.0 times as many of 2 MP as Twitter's tool" in text  # served
    assert "moved by +1.5 MB from request 2,000 to 20,000" in text
    assert "answers 97% of the sustained 150 photos" in text
    assert "7.5 times as many uploads a second that were there before, and 95% as many" in text
    assert "| Twitter's tool | -0.80 |" in text
    assert "quality is not shown" in markdown(RESULTS, {})
    assert "Other programs" not in text
    assert "up to 1.5 cores" in markdown(replace(RESULTS, neighbours=1.5), GAPS)


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    draw_load(RESULTS.points, tmp_path / "load.png")
    draw_quality(2, RESULTS.speeds[2], GAPS, tmp_path / "quality.png")
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert image.width > 400


def test_quality_is_read_by_tool(tmp_path: Path) -> None:
    file = tmp_path / "croppers.json"
    assert quality.read(file) == {}
    row = {"gap closed": {"mean": 0.25, "low": 0.1, "high": 0.4}}
    rows = {quality.ROWS[peers.SMARTCROP]: row, "centre": row}
    file.write_text(json.dumps({"osie": {"photos": 3, "rows": rows}}))
    assert quality.read(file) == {"osie": {peers.SMARTCROP: 0.25}}


def test_overload_counts_the_endings() -> None:
    answers = [Answer("OK", 0.01 * n) for n in range(1, 101)]
    answers += [Answer("UNAVAILABLE", 0.002)] * 50 + [Answer("DEADLINE_EXCEEDED", 5.0)] * 3
    measured = overload.summary(60.0, 120.0, answers, lasted=2.0, client=0.05)
    assert measured.goodput == 50
    assert measured.share == pytest.approx(50 / 60)
    assert measured.accepted_p99 == pytest.approx(990, abs=2)
    assert (measured.refused, measured.refused_p99) == (50, 2)
    assert measured.others == {"DEADLINE_EXCEEDED": 3}
    with pytest.raises(ValueError, match="DEADLINE_EXCEEDED"):
        overload.summary(60.0, 120.0, answers[-3:], lasted=2.0, client=0.05)


def test_overload_of_the_ensemble(grpc: str) -> None:
    measured = overload.measure(grpc, seconds=0.4)
    assert measured.sustained > 1
    assert measured.goodput > 0
    assert 0 < measured.accepted_p50 <= measured.accepted_p99
    assert "answered, of the sustained" in overload.markdown(measured)


def test_the_network_is_the_one_that_the_server_loads() -> None:
    backend = (MODELS.parent / "server" / "backends" / "onnxruntime" / "model.py").read_text(
        encoding="utf-8"
    )
    named = re.search(r"^INT8_INSTRUCTIONS = ({.*})$", backend, re.MULTILINE)
    assert named
    assert ast.literal_eval(named[1]) == INT8_INSTRUCTIONS
    assert network_file().is_file()


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0.123, 1.234, 12.34, 123.4, 7, None)] == [
        "0.12",
        "1.23",
        "12.3",
        "123",
        "7",
        "–",
    ]
    assert table(("a", "b"), [("x", 1.5)]) == "| a | b |\n| --- | --- |\n| x | 1.50 |\n"
