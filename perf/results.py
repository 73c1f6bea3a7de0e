"""All that is measured, in the order in which it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perf import growth, inprocess, load, network, overload, peers
from perf.growth import Endurance, Instances
from perf.inprocess import Bound
from perf.load import Point
from perf.overload import Overload
from perf.peers import Speed
from perf.serving import serve

TWITTERS = "Twitter's"  # network

Say = Callable[[str], None]


@dataclass(frozen=True)
class Results:
    """One run on one machine.

    Attributes:
        networks: by engine and network, milliseconds on one thread.
        bounds: what the work takes in process, by photo size.
        points: what serving reaches, by load.
        overload: at twice the load that it can sustain.
        speeds: of gazecrop and its peers in process.
        instances: throughput by the number of models' instances.
        endurance: memory, and the start.
    """

    networks: dict[str, dict[str, float]]
    bounds: list[Bound]
    points: list[Point]
    overload: Overload
    speeds: dict[str, Speed]
    instances: list[Instances]
    endurance: Endurance

    def bound(self, megapixels: float) -> Bound:
        return next(bound for bound in self.bounds if bound.megapixels == megapixels)

    def point(self, megapixels: float, concurrency: int) -> Point:
        return next(
            done
            for done in self.points
            if done.megapixels == megapixels and done.load.concurrency == concurrency
        )


def measure(twitter: Path | None, say: Say) -> Results:
    """Measure everything; `say` gets a line for each thing done.

    Raises:
        ServerError, AnalyzerError: a server does not start, or fails.
        ImportError: a package of a peer is missing.
    """
    networks = _networks(twitter, say)
    speeds = peers.measure(twitter)
    for name, speed in speeds.items():
        say(f"{name}: {speed.milliseconds:.1f} ms, {speed.rate:.0f} photos/s on all cores")
    bounds = []
    for megapixels in inprocess.MEGAPIXELS:
        bounds.append(inprocess.measure(megapixels))
        say(f"{megapixels} MP in process: {bounds[-1].rate:.0f} photos/s on all cores")
    points = []
    with serve() as server:
        for point in load.sweep(server.grpc):
            points.append(point)
            say(load.describe(point))
    with serve() as server:
        overloaded = overload.measure(server.grpc)
    say(f"overloaded: {overloaded.goodput:.0f} of {overloaded.offered:.0f} photos/s")
    instances = []
    for row in growth.by_instances():
        instances.append(row)
        say(f"{row.preprocess} + {row.network} instances: {row.rate:.0f} photos/s")
    endurance = growth.endurance()
    say(f"{growth.REQUESTS:,} requests: {endurance.growth:+.1f} MB")
    return Results(networks, bounds, points, overloaded, speeds, instances, endurance)


def _networks(twitter: Path | None, say: Say) -> dict[str, dict[str, float]]:
    files = network.student_files() | ({TWITTERS: twitter} if twitter else {})
    networks = {}
    for engine in network.ENGINES:
        networks[engine] = network.measure(files, engine)
        taken = ", ".join(f"{name} {ms:.2f} ms" for name, ms in networks[engine].items())
        say(f"{engine}: {taken}")
    return networks
