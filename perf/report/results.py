"""All that is measured, in the order in which it is, and the file that keeps it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cattrs.preconf.json import make_converter

from perf.croppers import GAZECROP, names
from perf.instruments import machine
from perf.instruments.analyzer import WINDOW_MS
from perf.instruments.machine import Machine
from perf.instruments.photos import jpeg
from perf.instruments.serving import serve
from perf.measurements import bound, cache, growth, load, network, overload, speed
from perf.measurements.bound import Bound
from perf.measurements.cache import Cached
from perf.measurements.growth import Endurance, Instances
from perf.measurements.load import Point
from perf.measurements.overload import Overload
from perf.measurements.speed import Speed
from training.files import digest

SERVED = "gazecrop, served"
TWITTERS = "Twitter's network"
IN_FLIGHT = 8  # requests that keep the server busy
BUSY = 0.2  # cores that other programs may use

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much to measure. The defaults are those of the published report.

    Attributes:
        seconds: for each job on a thread, and again on all cores.
        window_ms: perf_analyzer's windows.
        loads: megapixels of the uploads to the server.
        croppers, photos: the tools by name, all if None, and the megapixels of their photos.
        instances: of preprocess and network.
        uploads: that take turns before the response cache.
        requests: over which memory is watched.
    """

    seconds: float = 3.0
    window_ms: int = WINDOW_MS
    bounds: Sequence[float] = bound.MEGAPIXELS
    loads: Sequence[float] = load.MEGAPIXELS
    concurrencies: Sequence[int] = load.CONCURRENCIES
    shares: Sequence[float] = load.SHARES
    croppers: Sequence[str] | None = None
    photos: Sequence[float] = speed.MEGAPIXELS
    overload_seconds: float = overload.SECONDS
    instances: Sequence[tuple[int, int]] = tuple(growth.INSTANCES)
    uploads: int = cache.UPLOADS
    requests: int = growth.REQUESTS


QUICK = Plan(
    seconds=0.05,
    window_ms=300,
    bounds=(load.SMALL, load.OPEN_LOOP),
    loads=(load.OPEN_LOOP,),
    concurrencies=(1, IN_FLIGHT),
    shares=(0.5,),
    croppers=(GAZECROP,),
    photos=(load.OPEN_LOOP,),
    overload_seconds=0.4,
    instances=((2, 1),),
    uploads=4,
    requests=100,
)


@dataclass(frozen=True)
class Results:
    """One run on one machine.

    Attributes:
        machine: the machine, the day and the versions.
        neighbours: the most cores that other programs used in the pauses between measurements.
        bytes_per_pixel: least and most of the photos.
        digests: by network, the digest of its file; figures of another one are out of date.
        networks: by engine and network, milliseconds on one thread.
        bounds: what the work takes in process, by photo size.
        points: what serving reaches, by load.
        overload: at twice the load that it can sustain.
        speeds: of gazecrop and its peers in process, by photo size in megapixels.
        instances: throughput by the number of models' instances.
        cached: what the response cache does.
        endurance: memory, and the start.
    """

    machine: Machine
    neighbours: float
    bytes_per_pixel: tuple[float, float]
    digests: dict[str, str]
    networks: dict[str, dict[str, float]]
    bounds: list[Bound]
    points: list[Point]
    overload: Overload
    speeds: dict[float, dict[str, Speed]]
    instances: list[Instances]
    cached: Cached
    endurance: Endurance

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


def read(file: Path) -> Results:
    """What `write` has written."""
    return make_converter().loads(file.read_text("utf-8"), Results)


def write(results: Results, file: Path) -> None:
    file.write_text(make_converter().dumps(results, indent=1) + "\n", "utf-8")


def measure(plan: Plan, twitter: Path | None, say: Say) -> Results:
    """Measure everything; `say` gets a line for each thing done.

    Raises:
        ServerError, AnalyzerError: a server does not start, or fails.
        ImportError: a package of a peer is missing.
    """
    neighbours = [_neighbours(say)]
    networks = _networks(plan, twitter, say)
    speeds = {megapixels: _speeds(plan, megapixels, twitter, say) for megapixels in plan.photos}
    neighbours.append(_neighbours(say))
    bounds = _bounds(plan, say)
    points, overloaded = _served(plan, say)
    neighbours.append(_neighbours(say))
    instances = _instances(plan, say)
    neighbours.append(_neighbours(say))
    cached = cache.measure(plan.uploads, plan.window_ms)
    say(f"from the response cache: {cached.hit.rate:.0f} photos/s")
    endurance = growth.endurance(plan.requests)
    say(f"{plan.requests:,} requests: {endurance.growth:+.1f} MB")
    neighbours.append(_neighbours(say))
    weights = [len(jpeg(megapixels)) / megapixels / 1e6 for megapixels in plan.loads]
    return Results(
        machine=machine.this_machine(),
        neighbours=max(neighbours),
        bytes_per_pixel=(min(weights), max(weights)),
        digests={name: digest(path) for name, path in network.student_files().items()},
        networks=networks,
        bounds=bounds,
        points=points,
        overload=overloaded,
        speeds=speeds,
        instances=instances,
        cached=cached,
        endurance=endurance,
    )


def _neighbours(say: Say) -> float:
    busy = machine.busy_cores()
    if busy > BUSY:
        say(f"others use {busy:.1f} cores of this machine; the figures will be too low")
    return busy


def _networks(plan: Plan, twitter: Path | None, say: Say) -> dict[str, dict[str, float]]:
    files = network.student_files() | ({TWITTERS: twitter} if twitter else {})
    networks = network.measure(files, seconds=plan.seconds)
    for engine, taken in networks.items():
        say(f"{engine}: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in taken.items()))
    return networks


def _speeds(plan: Plan, megapixels: float, twitter: Path | None, say: Say) -> dict[str, Speed]:
    croppers = plan.croppers or names(twitter)
    speeds = {}
    for name, done in speed.measure(
        croppers, megapixels, twitter, plan.seconds * len(croppers), plan.seconds
    ):
        speeds[name] = done
        say(
            f"{megapixels} MP by {name}: {done.milliseconds:.1f} ms, {done.rate:.0f} photos/s "
            "on all cores"
        )
    return speeds


def _bounds(plan: Plan, say: Say) -> list[Bound]:
    bounds = []
    for megapixels in plan.bounds:
        bounds.append(bound.measure(megapixels, plan.seconds))
        say(f"{megapixels} MP in process: {bounds[-1].rate:.0f} photos/s on all cores")
    return bounds


def _served(plan: Plan, say: Say) -> tuple[list[Point], Overload]:
    points = []
    with serve() as server:
        for point in load.sweep(
            server.grpc, plan.loads, plan.concurrencies, plan.shares, plan.window_ms
        ):
            points.append(point)
            say(load.describe(point))
        overloaded = overload.measure(server.grpc, plan.overload_seconds)
    say(f"overloaded: {overloaded.goodput:.0f} of {overloaded.offered:.0f} photos/s")
    return points, overloaded


def _instances(plan: Plan, say: Say) -> list[Instances]:
    instances = []
    for row in growth.by_instances(plan.instances, plan.window_ms):
        instances.append(row)
        say(f"{row.preprocess} + {row.network} instances: {row.rate:.0f} photos/s")
    return instances
