"""What the figures say, in one line each."""

from collections.abc import Iterator

from perf import growth, load
from perf.markdown import number
from perf.peers import GAZECROP, SERVED, TWITTER
from perf.repository import PREPROCESS
from perf.results import IN_FLIGHT, TWITTERS, Results
from perf.timing import cores


def findings(results: Results) -> list[str]:
    return [
        *_networks(results),
        *_serving(results),
        *_peers(results),
        *_growth(results),
        _cache(results),
        _overload(results),
    ]


def _networks(results: Results) -> Iterator[str]:
    for engine, taken in results.networks.items():
        for name, milliseconds in taken.items():
            if name != TWITTERS:
                line = f"The network `{name}` takes {number(milliseconds)} ms on one thread of "
                line += engine
                if TWITTERS in taken:
                    times = taken[TWITTERS] / milliseconds
                    line += f", Twitter's {number(taken[TWITTERS])} ms: {times:.1f} times as long"
                yield f"{line}."


def _serving(results: Results) -> Iterator[str]:
    megapixels = load.OPEN_LOOP
    busy, bound = results.point(megapixels, IN_FLIGHT), results.bound(megapixels)
    rate = busy.figures.rate
    yield (
        f"With {IN_FLIGHT} requests in flight, Triton answers {number(rate)} photos of "
        f"{megapixels} MP a second: {rate / bound.rate:.0%} of the {number(bound.rate)} that "
        f"preprocessing and network reach without a server on all {cores()} cores."
    )
    parts = {"waiting": busy.split.queue}
    parts |= {name: step.compute for name, step in busy.split.steps.items()}
    shares = ", ".join(f"{name} {part / busy.split.total:.0%}" for name, part in parts.items())
    yield f"Of a request's {number(busy.split.total)} ms in the server then: {shares}."
    lone, alone = results.point(load.SMALL, 1).figures, results.bound(load.SMALL)
    yield (
        f"A lone request with a photo of {load.SMALL} MP takes {number(lone.p50)} ms (p50), "
        f"{lone.p50 / alone.together:.1f} times the {number(alone.together)} ms of "
        "preprocessing and network without a server."
    )
    last = [done for done in results.points if done.load.rate][-1].figures
    yield (
        f"Requests at random times, at {load.SHARES[-1]:.0%} of the highest throughput: p50 "
        f"{number(last.p50)} ms, p99 {number(last.p99)} ms."
    )


def _peers(results: Results) -> Iterator[str]:
    for megapixels in results.speeds:
        tools = results.tools(megapixels)
        ours, served = tools.pop(GAZECROP).rate, tools.pop(SERVED).rate
        times = [f"{ours / tool.rate:.1f} times those of {name}" for name, tool in tools.items()]
        yield (
            f"Photos of {megapixels} MP that gazecrop crops a second in process are "
            f"{', '.join(times)}."
        )
        if TWITTER in tools:
            yield (
                f"Served, it answers {served / tools[TWITTER].rate:.1f} times as many of "
                f"{megapixels} MP as {TWITTER} crops in process."
            )


def _growth(results: Results) -> Iterator[str]:
    best = max(results.instances, key=lambda row: row.rate)
    yield (
        f"Of the instances tried, {best.preprocess} of {PREPROCESS} and {best.network} of the "
        f"network do most: {number(best.rate)} photos a second."
    )
    endurance = results.endurance
    first, *_, last = endurance.megabytes
    yield (
        f"The server's memory moved by {endurance.growth:+.1f} MB from request {first:,} to "
        f"{last:,}, and is {endurance.megabytes[last]:.0f} MB."
    )
    yield (
        f"The first answer ({growth.MEMORY_MEGAPIXELS} MP) comes "
        f"{endurance.seconds_to_answer:.1f} s after the start."
    )


def _cache(results: Results) -> str:
    cached = results.cached
    return (
        "With Triton's response cache it answers "
        f"{cached.hit.rate / cached.without.rate:.1f} times as many uploads a second that were "
        f"there before, and {cached.missed.rate / cached.without.rate:.0%} as many new ones."
    )


def _overload(results: Results) -> str:
    measured = results.overload
    line = (
        f"Asked for {measured.offered / measured.sustained:.1f} times what it sustains, it "
        f"answers {measured.share:.0%} of the sustained {number(measured.sustained)} photos a "
        f"second ({measured.client:.0%} of the cores go to what the client sends besides), with a "
        f"p99 of {number(measured.accepted_p99)} ms"
    )
    if measured.refused_p50 is None:
        return f"{line}, and refuses nothing."
    return (
        f"{line}, and refuses {measured.refused:,} requests, half of them within "
        f"{number(measured.refused_p50)} ms."
    )
