"""What a photo costs and what a server reaches: from perf/report.json and the checkpoint."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from perf.figures.cells import GAZECROP, INTEGERS, ratio, table, two_digits
from perf.instruments.tables import number
from perf.measurements.speed import Speed
from perf.report import results
from perf.report.results import IN_FLIGHT, TWITTERS, Results

ROOT = Path(__file__).parents[2]
SMALL, LARGE, LARGEST = 0.3, 2.0, 12.0  # megapixels of the photos
TWITTERS_GMAC = 2.44  # of its released graph, for a photo of 4:3
UTILISATION = 0.6  # what the autoscaler aims at
UPLOAD = 540  # kB, a photo of 2 MP


def serving() -> str:
    """What a server reaches, and where that was measured."""
    speed = _speed()
    where = (
        f"On {speed.machine.cores} cores of {speed.machine.processor}, shared with the client and "
        "the load generator, and of one run (`make perf` writes [perf/report.md](perf/report.md)). "
        "A server over gRPC:\n\n"
    )
    sizes, overload = (SMALL, LARGE, LARGEST), speed.overload
    lone = {size: speed.point(size, 1).figures for size in sizes}
    busy = {size: speed.point(size, IN_FLIGHT).figures for size in sizes}
    times = overload.offered / overload.sustained
    after = f"{overload.accepted_p50:.0f} ms; {overload.accepted_p99:.0f} ms"
    rows = [
        *((f"a lone photo of {size:g} MP", f"{number(lone[size].p50)} ms") for size in sizes),
        *(
            (
                f"photos of {size:g} MP, {IN_FLIGHT} in flight",
                f"{number(busy[size].rate)} a second",
            )
            for size in sizes
        ),
        (
            f"asked for {times:.1f} times what it sustains, it answers",
            f"{overload.share:.0%} of that",
        ),
        ("… these after (median; 99th percentile)", after),
        ("… and refuses the rest after (median)", f"{number(overload.refused_p50)} ms"),
    ]
    return where + table(("", ""), rows)


def cost() -> str:
    """What one photo costs the shipped student."""
    from training.evaluation.evaluate import CHECKPOINT
    from training.networks import student
    from training.networks.cost import macs

    network = student.load(CHECKPOINT)
    parameters = sum(weights.numel() for weights in network.parameters())
    return (
        f"The shipped student costs {macs(network.sizes) / 1e9:.3f} GMAC a photo and has "
        f"{parameters:,} parameters; Twitter's network costs {TWITTERS_GMAC} GMAC.\n"
    )


def networks() -> str:
    """The network beside Twitter's, on one thread."""
    rows = []
    for engine, taken in _speed().networks.items():
        fp32, integers, twitters = taken.values()
        times = (f"{number(milliseconds)} ms" for milliseconds in taken.values())
        rows.append((engine, *times, ratio(twitters, fp32), ratio(twitters, integers)))
    columns = ("engine", "gazecrop, fp32", INTEGERS, TWITTERS)
    return table((*columns, "speed-up in fp32", "speed-up in 8 bits"), rows)


def tools() -> str:
    """Croppers in process."""
    small, large = (_speed().speeds[size] for size in (SMALL, LARGE))

    def cells(tool: str, tools: Mapping[str, Speed]) -> tuple[str, str]:
        return number(tools[tool].rate), ratio(tools[GAZECROP].rate, tools[tool].rate)

    return table(
        (
            "photos a second",
            *(f"{SMALL:g} MP", "gazecrop's speed-up"),
            *(f"{LARGE:g} MP", "gazecrop's speed-up"),
        ),
        ((tool, *cells(tool, small), *cells(tool, large)) for tool in small),
    )


def capacity() -> str:
    """Milliseconds of a core for a photo, and the cores and GPUs for many."""
    speed = _speed()

    def slowed(megapixels: float) -> float:
        """How much slower the steps are when all cores are busy."""
        bound = speed.bound(megapixels)
        return 1000 * speed.machine.cores / bound.rate / bound.together

    decoding, decoding_small, decoding_largest = (
        speed.bound(size).preprocess * slowed(size) for size in (LARGE, SMALL, LARGEST)
    )
    network = speed.bound(LARGE).network * slowed(LARGE)
    serving = speed.bound(LARGE).rate / speed.point(LARGE, IN_FLIGHT).figures.rate
    text = (
        f"where, per photo, as measured on {speed.machine.cores} busy cores of "
        f"{speed.machine.processor} ([`perf/report.md`](../perf/report.md)),\n\n"
        f"- *D* = {decoding:.1f} ms of one core to decode and shrink ({LARGE:g} MP; "
        f"{decoding_small:.1f} for {SMALL:g} MP, {decoding_largest:.0f} for {LARGEST:g} MP),\n"
        f"- *N* = {network:.1f} ms of one core for the network as it is served,\n"
        f"- *S* = {serving:.2f} for serving itself, and for the load generator that shared these "
        "cores,\n- *G* photos per second that one GPU's network takes: not measured ◇, so the "
        "table keeps it.\n\n"
    )
    rows = []
    for uploads in (1_000, 10_000, 100_000):
        cpu_only, beside_gpus = (
            two_digits(serving * uploads * ms / 1000 / UTILISATION)
            for ms in (decoding + network, decoding)
        )
        gpus, traffic = two_digits(uploads / UTILISATION), two_digits(uploads * UPLOAD * 8 / 1e6)
        rows.append((f"{uploads:,}", cpu_only, beside_gpus, f"{gpus} / G", f"{traffic} Gbit/s"))
    columns = ("uploads per second", "CPU only, cores", "with GPUs: cores", "GPUs")
    return text + table((*columns, f"traffic in, at {UPLOAD} kB a photo"), rows)


@cache
def _speed() -> Results:
    return results.read(ROOT / "perf" / "report.json")
