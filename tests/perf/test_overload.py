import pytest

from perf.measurements import overload
from perf.measurements.overload import Answer


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
