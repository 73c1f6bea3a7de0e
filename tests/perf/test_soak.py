import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from gazecrop import DeadlineExceeded, ImageRejected, Saliency
from numpy.typing import NDArray

from perf.instruments import hostile, photos
from perf.instruments.served import InProcess
from perf.instruments.supervised import DECODER
from perf.measurements.soak import results
from perf.measurements.soak.endings import ANSWERED, LOST, REFUSED, SAME, WRONG, Ending, verdict
from perf.measurements.soak.results import Plan, interruption, summary
from perf.measurements.soak.run import measure


def test_hostile_files_are_refused_or_within_bounds() -> None:
    served = InProcess()
    unusable = served.unusable
    chance = random.Random(0)
    outcomes: dict[str, Counter[str]] = {}
    for kind in hostile.KINDS:
        counts = outcomes[kind.__name__] = Counter()
        for _ in range(12):
            try:
                served.preprocess(kind(chance))
                counts["used"] += 1
            except unusable as error:
                counts[error.reason] += 1
    assert set(outcomes["cut_off"]) == {"damaged"}
    assert set(outcomes["no_image"]) == {"unknown format"}
    assert set(outcomes["bomb_within_bounds"]) == {"used"}
    assert set(outcomes["bomb_beyond_bounds"]) == {"too many pixels", "too many scans"}
    assert len(outcomes["damaged"]) > 1


def test_the_same_seed_makes_the_same_files() -> None:
    one, other = (hostile.uploads(random.Random(3), 20) for _ in range(2))
    assert one == other
    assert len(set(one)) > 15


def saliency(column: int) -> Saliency:
    density = np.zeros((40, 40), np.float32)
    density[:, column] = 1 / 40
    return Saliency(density, (640, 480))


def test_verdicts() -> None:
    here, there, refusal = saliency(3), saliency(20), ImageRejected("read: not an image")
    nearly = Saliency(0.998 * here.density + 0.002 * there.density, here.size)
    turned = Saliency(here.density, here.size[::-1])
    assert SAME < 1
    assert [verdict(here, got) for got in (here, nearly)] == [ANSWERED, ANSWERED]
    assert [verdict(here, got) for got in (there, turned, refusal)] == [WRONG, WRONG, WRONG]
    assert verdict(refusal, refusal) == REFUSED
    assert verdict(refusal, here) == WRONG
    assert verdict(here, DeadlineExceeded("no answer")) == "DeadlineExceeded"
    assert verdict(refusal, DeadlineExceeded("no answer")) == "DeadlineExceeded"
    assert verdict(here, None) == LOST


def steady(start: float, end: float, rate: float) -> NDArray[np.float64]:
    return np.arange(start, end, 1 / rate)


def test_interruptions_are_timed() -> None:
    never = interruption(steady(0, 60, 100), kill=30, end=60)
    assert never == (pytest.approx(0.01), 0)
    gone = np.concatenate([steady(0, 30, 100), steady(34, 60, 100)])
    gap, back = interruption(gone, kill=30, end=60)
    assert gap == pytest.approx(4, abs=0.1)
    assert back == pytest.approx(4, abs=0.2)
    late = np.concatenate([steady(0, 32, 100), steady(37, 60, 100)])
    assert interruption(late, kill=30, end=60) == (
        pytest.approx(5, abs=0.1),
        pytest.approx(7, abs=0.2),
    )
    slower = np.concatenate([steady(0, 30, 100), steady(30, 60, 40)])
    assert interruption(slower, kill=30, end=60)[1] is None


def test_a_short_soak_loses_nothing_and_answers_nothing_wrong(tmp_path: Path) -> None:
    said: list[str] = []
    plan = Plan(
        minutes=0.1, share=0.3, hostile=0.1, every=3, sustained=0.5, files=20, parts=(DECODER,)
    )
    soak = measure(plan, said.append)
    assert soak is not None
    assert (soak.wrong, soak.lost) == (0, 0)
    assert soak.answered > 0
    assert soak.refused > 0
    assert soak.end.processes == soak.start.processes
    assert set(soak.failed) <= {"ServerFailed", "ServerUnreachable", "DeadlineExceeded"}
    assert said.count("killed: decoder") == 2
    results.write(soak, tmp_path / "soak.json")
    assert results.read(tmp_path / "soak.json") == soak


def test_figures_are_set_against_their_targets() -> None:
    endings = [Ending(n / 10, n / 10 + 0.02, ANSWERED) for n in range(600)]
    endings += [Ending(30, 31, "ServerFailed"), Ending(31, 38, LOST), Ending(40, 40.1, WRONG)]
    endings += [Ending(50, 50.1, REFUSED)] * 5
    held = results.Resources({"decoder": 3}, 400.0, 20.0, 100, 280)
    grown = results.Resources({"decoder": 3}, 440.0, 20.0, 100, 280)
    kills = [("decoder", 30.0)]
    soak = summary(
        Plan(),
        60.0,
        (11.0, None),
        10.0,
        endings,
        kills,
        (held, grown),
        [400, 510, 401, 430, 440, 470],
    )
    assert (soak.answered, soak.refused, soak.wrong, soak.lost) == (600, 5, 1, 1)
    assert soak.kills[0].failed == 3
    text = results.markdown(soak)
    assert "| lost, without answer or error | 1 | 0 |" in text
    assert "| memory, from before to after | +10.0% | ± 5% |" in text
    assert "| memory under load, from the first third to the last | +0.0% |" in text
    assert "| 1 ServerFailed |" in text
    assert "| decoder | 1 |" in text


def test_photos_look_elsewhere() -> None:
    served = InProcess()
    maps = [served.predict(data)[0] for data in photos.turned(0.3)]
    for one, first in enumerate(maps):
        for second in maps[one + 1 :]:
            assert np.abs(first - second).sum() > 10 * SAME
