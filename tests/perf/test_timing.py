import time

import pytest

from perf.instruments.timing import medians, throughput


def test_jobs_take_turns() -> None:
    order: list[str] = []
    taken = medians({name: lambda name=name: order.append(name) for name in "ab"}, 0.001)
    assert taken.keys() == {"a", "b"}
    assert "".join(order[6:30]) == ("a" * 6 + "b" * 6) * 2


def test_processes_run_at_once() -> None:
    assert throughput(_prepare_nap, 0.5, processes=3) == pytest.approx(3 / 0.05, rel=0.4)


def _prepare_nap() -> object:
    return lambda: time.sleep(0.05)
