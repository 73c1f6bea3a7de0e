"""What the figures say, in one line each."""

from collections.abc import Iterator

from perf.croppers import GAZECROP, TWITTER
from perf.instruments.served import PREPROCESS
from perf.instruments.tables import number
from perf.measurements import growth, load
from perf.report.results import IN_FLIGHT, SERVED, TWITTERS, Results


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
            if name == TWITTERS:
                continue
            line = f"In {engine}, `{name}` takes {number(milliseconds)} ms on one thread"
            if theirs := taken.get(TWITTERS):
                line += f": {theirs / milliseconds:.1f}× faster than {TWITTERS} "
                line += f"({number(theirs)} ms)"
            yield f"{line}."


def _serving(results: Results) -> Iterator[str]:
    megapixels = load.OPEN_LOOP
    busy, bound = results.point(megapixels, IN_FLIGHT), results.bound(megapixels)
    rate = busy.figures.rate
    yield (
        f"With {IN_FLIGHT} requests in flight, Triton answers {number(rate)} photos of "
        f"{megapixels:g} MP a second. Preprocessing and network without a server reach "
        f"{number(bound.rate)} on all {results.machine.cores} cores, so serving keeps "
        f"{rate / bound.rate:.0%}."
    )
    parts = {"waiting": busy.split.queue}
    parts |= {name: step.compute for name, step in busy.split.steps.items()}
    shares = ", ".join(f"{name} {part / busy.split.total:.0%}" for name, part in parts.items())
    yield f"Such a request spends {number(busy.split.total)} ms in the server: {shares}."
    lone, alone = results.point(load.SMALL, 1).figures, results.bound(load.SMALL)
    yield (
        f"A lone request with a photo of {load.SMALL:g} MP takes {number(lone.p50)} ms (p50); "
        f"preprocessing and network alone take {number(alone.together)} ms."
    )
    last = [done for done in results.points if done.load.rate][-1]
    yield (
        f"Under {last.load} requests at random times, p50 is {number(last.figures.p50)} ms and "
        f"p99 {number(last.figures.p99)} ms."
    )


def _peers(results: Results) -> Iterator[str]:
    for megapixels in results.speeds:
        tools = results.tools(megapixels)
        ours, served = tools.pop(GAZECROP).rate, tools.pop(SERVED).rate
        slower = {name: ours / tool.rate for name, tool in tools.items() if tool.rate <= ours}
        faster = {name: tool.rate / ours for name, tool in tools.items() if tool.rate > ours}
        line = f"In process, gazecrop crops {number(ours)} photos of {megapixels:g} MP a second"
        if slower:
            line += f": {', '.join(f'{t:.1f}× as many as {name}' for name, t in slower.items())}"
        yield f"{line}."
        if faster:
            others = " and ".join(f"{name} {t:.1f}× as many" for name, t in faster.items())
            yield f"Faster than gazecrop at {megapixels:g} MP: {others}."
        if TWITTER in tools:
            yield (
                f"Served, gazecrop answers {served / tools[TWITTER].rate:.1f}× as many photos of "
                f"{megapixels:g} MP as {TWITTER} crops in process."
            )


def _growth(results: Results) -> Iterator[str]:
    best = max(results.instances, key=lambda row: row.rate)
    yield (
        f"Among the numbers of instances tried, {best.preprocess} of {PREPROCESS} and "
        f"{best.network} of the network do most: {number(best.rate)} photos a second."
    )
    endurance = results.endurance
    first, *_, last = endurance.megabytes
    yield (
        f"The server's memory changed by {endurance.growth:+.1f} MB from request {first:,} to "
        f"{last:,}, and is {endurance.megabytes[last]:.0f} MB."
    )
    yield (
        f"The first answer ({growth.MEMORY_MEGAPIXELS} MP) comes "
        f"{endurance.seconds_to_answer:.1f} s after the start."
    )


def _cache(results: Results) -> str:
    cached = results.cached
    return (
        "With Triton's response cache, uploads that were there before are answered "
        f"{cached.hit.rate / cached.without.rate:.1f}× as fast; new ones reach "
        f"{cached.missed.rate / cached.without.rate:.0%} of the rate without it."
    )


def _overload(results: Results) -> str:
    measured = results.overload
    line = (
        f"Asked for {measured.offered / measured.sustained:.1f}× what it sustains, it answers "
        f"{measured.share:.0%} of the sustained {number(measured.sustained)} photos a second, "
        f"slowly: p50 is {number(measured.accepted_p50)} ms and p99 "
        f"{number(measured.accepted_p99)} ms. The client's extra requests take "
        f"{measured.client:.0%} of the cores"
    )
    if measured.refused_p50 is None:
        return f"{line}; it refuses nothing."
    return (
        f"{line}. It refuses {measured.refused:,} requests, half of them within "
        f"{number(measured.refused_p50)} ms."
    )
