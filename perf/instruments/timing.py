"""Timing of work in this process, and on all cores."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from threading import Barrier
from typing import TypeAlias

Job: TypeAlias = Callable[[], object]

WARM_UP = 3  # runs
ROUNDS = 3
TURN = 5  # runs; before them one that is not counted, in which the caches are another job's
START_SECONDS = 60  # by then every worker is ready


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def medians(jobs: Mapping[str, Job], seconds: float) -> dict[str, float]:
    """Median milliseconds of each job.

    They take turns, so that a machine that slows down slows all of them; for about so many
    seconds in all, and five rounds at least.
    """
    for job in jobs.values():
        for _ in range(WARM_UP):
            job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 5 or time.perf_counter() < end:
        for name, job in jobs.items():
            job()
            for _ in range(TURN):
                started = time.perf_counter()
                job()
                taken[name].append((time.perf_counter() - started) * 1000)
        rounds += 1
    return {name: median(values) for name, values in taken.items()}


def throughput(prepare: Callable[[], Job], seconds: float, processes: int | None = None) -> float:
    """Runs a second of a job in several processes at once, one for each core by default.

    The median of three rounds, so that a neighbour's short burst of work does not count.

    Args:
        prepare: makes the job in each process; it must be picklable.
        seconds: for how long they run, all rounds together.
    """
    processes = processes or cores()
    context = multiprocessing.get_context("spawn")  # inference engines do not survive a fork
    with (
        context.Manager() as manager,
        # Ctrl-C is for the parent, which then ends them.
        ProcessPoolExecutor(processes, context, signal.signal, _IGNORE) as pool,
    ):
        together = manager.Barrier(processes)
        workers = [pool.submit(_rates, prepare, seconds, together) for _ in range(processes)]
        rounds = zip(*(worker.result() for worker in workers), strict=True)
        return median(sum(rates) for rates in rounds)


_IGNORE = (signal.SIGINT, signal.SIG_IGN)


def _rates(prepare: Callable[[], Job], seconds: float, together: Barrier) -> list[float]:
    job = prepare()
    for _ in range(WARM_UP):
        job()
    return [_rate(job, seconds / ROUNDS, together) for _ in range(ROUNDS)]


def _rate(job: Job, seconds: float, together: Barrier) -> float:
    together.wait(START_SECONDS)
    runs, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        job()
        runs += 1
    return runs / elapsed
