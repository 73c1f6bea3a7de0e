"""All that is measured, in the order in which it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perf import cache, growth, inprocess, load, machine, network, overload, peers
from perf.cache import Cached
from perf.growth import Endurance, Instances
from perf.inprocess import Bound
from perf.load import Point
from perf.overload import Overload
from perf.peers import GAZECROP, SERVED, Speed
from perf.serving import serve

TWITTERS = "Twitter's"  # network
IN_FLIGHT = 8  # requests that keep the server busy
BUSY = 0.2  # cores that other programs may use

Say = Callable[[str], None]


@dataclass(frozen=True)
class Results:
    """One run on one machine.

    Attributes:
        networks: by engine and network, milliseconds on one thread.
        bounds: what the work takes in process, by photo size.
        points: what serving reaches, by load.
        overload: at twice the load that it can sustain.
        speeds: of gazecrop and its peers in process, by photo size in megapixels.
        instances: throughput by the number of models' instances.
        cached: what the response cache does.
        endurance: memory, and the start.
        neighbours: the most cores that other programs used in the pauses between these.
    """

    networks: dict[str, dict[str, float]]
    bounds: list[Bound]
    points: list[Point]
    overload: Overload
    speeds: dict[float, dict[str, Speed]]
    instances: list[Instances]
    cached: Cached
    endurance: Endurance
    neighbours: float

    def bound(self, megapixels: float) -> Bound:
        return next(bound for bound in self.bounds if bound.megapixels == megapixels)

    def point(self, megapixels: float, concurrency: int) -> Point:
        return next(
            done
            for done in self.points
            if done.megapixels == megapixels and done.load.concurrency == concurrency
        )

    def tools(self, megapixels: float) -> dict[str, Speed]:
        """The speeds of all tools on photos of a size, gazecrop's served and in process."""
        lone, busy = (self.point(megapixels, n).figures for n in (1, IN_FLIGHT))
        served = {SERVED: Speed(lone.p50, busy.rate)}
        return {GAZECROP: self.speeds[megapixels][GAZECROP]} | served | self.speeds[megapixels]


def measure(twitter: Path | None, say: Say) -> Results:
    """Measure everything; `say` gets a line for each thing done.

    Raises:
        ServerError, AnalyzerError: a server does not start, or fails.
        ImportError: a package of a peer is missing.
    """
    neighbours = [_neighbours(say)]
    networks = _networks(twitter, say)
    speeds = {megapixels: _speeds(megapixels, twitter, say) for megapixels in peers.MEGAPIXELS}
    neighbours.append(_neighbours(say))
    bounds = []
    for megapixels in inprocess.MEGAPIXELS:
        bounds.append(inprocess.measure(megapixels))
        say(f"{megapixels} MP in process: {bounds[-1].rate:.0f} photos/s on all cores")
    points = []
    with serve() as server:
        for point in load.sweep(server.grpc):
            points.append(point)
            say(load.describe(point))
    neighbours.append(_neighbours(say))
    with serve() as server:
        overloaded = overload.measure(server.grpc)
    say(f"overloaded: {overloaded.goodput:.0f} of {overloaded.offered:.0f} photos/s")
    instances = []
    for row in growth.by_instances():
        instances.append(row)
        say(f"{row.preprocess} + {row.network} instances: {row.rate:.0f} photos/s")
    neighbours.append(_neighbours(say))
    cached = cache.measured()
    say(f"from the response cache: {cached.hit.rate:.0f} photos/s")
    endurance = growth.endurance()
    say(f"{growth.REQUESTS:,} requests: {endurance.growth:+.1f} MB")
    neighbours.append(_neighbours(say))
    return Results(
        networks,
        bounds,
        points,
        overloaded,
        speeds,
        instances,
        cached,
        endurance,
        max(neighbours),
    )


def _neighbours(say: Say) -> float:
    busy = machine.busy_cores()
    if busy > BUSY:
        say(f"others use {busy:.1f} cores of this machine; the figures will be too low")
    return busy


def _speeds(megapixels: float, twitter: Path | None, say: Say) -> dict[str, Speed]:
    speeds = {}
    for name, speed in peers.measure(megapixels, twitter):
        speeds[name] = speed
        say(
            f"{megapixels} MP by {name}: {speed.milliseconds:.1f} ms, {speed.rate:.0f} photos/s "
            "on all cores"
        )
    return speeds


def _networks(twitter: Path | None, say: Say) -> dict[str, dict[str, float]]:
    files = network.student_files() | ({TWITTERS: twitter} if twitter else {})
    networks = {}
    for engine in network.ENGINES:
        networks[engine] = network.measure(files, engine)
        taken = ", ".join(f"{name} {ms:.2f} ms" for name, ms in networks[engine].items())
        say(f"{engine}: {taken}")
    return networks
