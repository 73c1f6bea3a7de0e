"""What came of a soak, beside what should, and the file that keeps it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from cattrs.preconf.json import make_converter
from numpy.typing import NDArray

from perf.instruments.machine import Machine, this_machine
from perf.instruments.supervised import PARTS, Resources
from perf.instruments.tables import number, table
from perf.measurements.soak.endings import ANSWERED, LOST, REFUSED, WRONG, Ending

FILE = Path(__file__).parents[2] / "soak.json"
MEGAPIXELS = 2

BEFORE = 10.0  # seconds before a kill, whose rate is the former one
WINDOW, STEP = 1.0, 0.05  # seconds over which a rate is taken, and from one to the next
LOW, FORMER = 0.5, 0.9  # of the former rate
SLOW = 1.0  # seconds to an answer
TARGET_BACK = 5.0  # seconds
TARGET_MEMORY = 0.05  # of the memory at the start
DESCRIPTORS = (
    "More descriptors are no leak: a process in a dead one's place inherits, once, the sockets "
    "with which Triton's threads wake each other."
)


@dataclass(frozen=True)
class Plan:
    """How long, how much of what, and how often something is killed.

    Attributes:
        share: of the sustained rate.
        hostile: share of the uploads.
        every: seconds between kills, and between lines about the progress.
        sustained: seconds in which the sustained rate is measured, before and after.
        files: different hostile ones.
        parts: of which something is killed.
    """

    minutes: float = 30.0
    share: float = 0.9
    hostile: float = 0.02
    seed: int = 0
    every: float = 60.0
    sustained: float = 20.0
    files: int = 200
    parts: tuple[str, ...] = PARTS


@dataclass(frozen=True)
class Kill:
    """What came of a kill, until the next one.

    Attributes:
        part: of the server, of which a process was killed.
        at: seconds since the start.
        gap: the longest time without a right answer, in seconds.
        back: seconds until right answers came at the former rate; None if they did not.
        slow: seconds until the last upload was sent that took longer than a second.
        failed: uploads that were not rightly answered or refused.
    """

    part: str
    at: float
    gap: float
    back: float | None
    slow: float
    failed: int


@dataclass(frozen=True)
class Soak:
    """All that was measured.

    Attributes:
        seconds: under load and kills.
        sustained: uploads that were rightly answered or refused a second with many in flight,
            before the kills.
        sustained_after: the same after them; None if it was stopped.
        offered: uploads sent a second.
        answered, refused: right predictions, and right refusals.
        failed: errors that do not refuse the photo, by their names.
        wrong: another map, a photo refused, or something refused predicted.
        lost: neither answer nor error came.
        p50, p99: milliseconds to right answers.
        start, end: what the server held before the kills and after them.
        megabytes: of memory of its own under load, at the end of each interval between kills, but
            for those in which it was restarting.
    """

    machine: Machine
    plan: Plan
    seconds: float
    sustained: float
    sustained_after: float | None
    offered: float
    answered: int
    refused: int
    failed: dict[str, int]
    wrong: int
    lost: int
    p50: float
    p99: float
    kills: list[Kill]
    start: Resources
    end: Resources
    megabytes: list[float]

    @property
    def growth(self) -> float:
        """By which share the memory changed."""
        return self.end.megabytes / self.start.megabytes - 1

    @property
    def trend(self) -> float | None:
        """The same under load, from the first third to the last, by their medians.

        What waits after a kill makes single values rise and fall; what is never given back, all.
        """
        third = len(self.megabytes) // 3
        if not third:
            return None
        return median(self.megabytes[-third:]) / median(self.megabytes[:third]) - 1


def read(file: Path = FILE) -> Soak | None:
    """What `write` has written; None if there is no such file."""
    return make_converter().loads(file.read_text("utf-8"), Soak) if file.exists() else None


def write(soak: Soak, file: Path) -> None:
    file.write_text(make_converter().dumps(soak, indent=1) + "\n", "utf-8")


def summary(
    plan: Plan,
    seconds: float,
    sustained: tuple[float, float | None],
    offered: float,
    endings: Sequence[Ending],
    kills: Sequence[tuple[str, float]],
    held: tuple[Resources, Resources],
    megabytes: list[float],
) -> Soak:
    """The figures of a run whose uploads ended so, while parts were killed at their times."""
    counts = Counter(ending.how for ending in endings)
    taken = [1000 * (ending.end - ending.due) for ending in endings if ending.is_right]
    right = np.sort([ending.end for ending in endings if ending.is_right])
    until = [*(at for _, at in kills[1:]), seconds]
    return Soak(
        machine=this_machine(),
        plan=plan,
        seconds=seconds,
        sustained=sustained[0],
        sustained_after=sustained[1],
        offered=offered,
        answered=counts.pop(ANSWERED, 0),
        refused=counts.pop(REFUSED, 0),
        wrong=counts.pop(WRONG, 0),
        lost=counts.pop(LOST, 0),
        failed=dict(counts),
        p50=float(np.percentile(taken, 50)),
        p99=float(np.percentile(taken, 99)),
        kills=[
            Kill(part, at, *interruption(right, at, end), *_suffered(at, end, endings))
            for (part, at), end in zip(kills, until, strict=True)
            if end - at > plan.every / 4  # soon before a stop, one cannot tell
        ],
        start=held[0],
        end=held[1],
        megabytes=megabytes,
    )


def interruption(right: NDArray[np.float64], kill: float, end: float) -> tuple[float, float | None]:
    """The longest gap between right answers, and the seconds until they came at the former rate.

    That is when a second begins with nine tenths of it, after the last one with less than half.

    Args:
        right: when right answers came, in order.
        kill, end: from when to when to look.
    """
    meanwhile = right[(right >= kill) & (right <= end)]
    gap = float(np.diff(meanwhile, prepend=kill, append=end).max())
    since = max(0.0, kill - BEFORE)
    former = _rates(right, np.array([since]), kill - since)[0]
    starts = np.arange(kill, end - WINDOW, STEP)
    rates = _rates(right, starts, WINDOW)
    low = np.flatnonzero(rates < LOW * former)
    first = int(low[-1]) + 1 if len(low) else 0
    enough = np.flatnonzero(rates[first:] >= FORMER * former)
    return gap, float(starts[first + enough[0]] - kill) if len(enough) else None


def _suffered(at: float, end: float, endings: Sequence[Ending]) -> tuple[float, int]:
    """Seconds until the last slow upload was due, and the number of those not rightly answered."""
    meanwhile = [ending for ending in endings if at <= ending.end < end]
    slow = [each.due for each in meanwhile if each.end - each.due > SLOW]
    return max(0.0, max(slow, default=at) - at), sum(not each.is_right for each in meanwhile)


def _rates(
    times: NDArray[np.float64], starts: NDArray[np.float64], seconds: float
) -> NDArray[np.float64]:
    counts = np.searchsorted(times, starts + seconds) - np.searchsorted(times, starts)
    return counts / seconds


def progress(endings: Sequence[Ending]) -> str:
    """In one line, how uploads ended."""
    return ", ".join(f"{n} {how}" for how, n in Counter(each.how for each in endings).most_common())


def markdown(soak: Soak) -> str:
    """The figures, their targets beside them, and what came of the kills."""
    return f"{_figures(soak)}\n{_kills(soak)}\n{_held(soak)}"


def _figures(soak: Soak) -> str:
    failed = ", ".join(f"{count:,} {name}" for name, count in soak.failed.items())
    backs = [kill.back for kill in soak.kills]
    slowest = "never" if None in backs else f"{max(backs, default=0.0):.1f} s"  # type: ignore[type-var]
    after = soak.sustained_after
    trend = None if soak.trend is None else f"{soak.trend:+.1%}"
    return table(
        ("", "measured", "target"),
        [
            ("sustained before, uploads/s", soak.sustained, ""),
            ("sustained after", after, ""),
            ("sent, uploads/s", soak.offered, ""),
            ("rightly answered", f"{soak.answered:,}", ""),
            ("rightly refused", f"{soak.refused:,}", ""),
            ("failed with an error that says so", failed or "0", ""),
            ("answered wrong", f"{soak.wrong:,}", "0"),
            ("lost, without answer or error", f"{soak.lost:,}", "0"),
            ("p50, p99 of the right answers, ms", f"{soak.p50:.0f}, {soak.p99:.0f}", ""),
            ("back at the former rate after a kill, slowest", slowest, f"{TARGET_BACK:.0f} s"),
            ("memory, from before to after", f"{soak.growth:+.1%}", f"± {TARGET_MEMORY:.0%}"),
            ("memory under load, from the first third to the last", trend, ""),
        ],
    )


def _kills(soak: Soak) -> str:
    rows = []
    for part in PARTS:
        kills = [kill for kill in soak.kills if kill.part == part]
        if kills:
            backs = [kill.back for kill in kills if kill.back is not None]
            rows.append(
                (
                    part,
                    len(kills),
                    _pair([kill.gap for kill in kills]),
                    _pair(backs) if len(backs) == len(kills) else "not every time",
                    _pair([kill.slow for kill in kills]),
                    _pair([kill.failed for kill in kills]),
                )
            )
    columns = (
        "killed (median, most)",
        "times",
        "longest gap between answers, s",
        "back at the former rate after, s",
        "last answer slower than a second, s",
        "uploads that failed",
    )
    return table(columns, rows)


def _held(soak: Soak) -> str:
    start, end = soak.start, soak.end
    figures = table(
        ("what the server holds", "before", "after"),
        [
            ("processes", *(str(sum(held.processes.values())) for held in (start, end))),
            ("memory of its own, MB", start.megabytes, end.megabytes),
            ("in /dev/shm, MB", start.shared, end.shared),
            ("file descriptors", start.files, end.files),
            ("threads", start.threads, end.threads),
        ],
    )
    return f"{figures}\n{DESCRIPTORS}\n"


def _pair(values: Sequence[float]) -> str:
    return f"{number(median(values))}, {number(max(values))}"
