"""What a student costs for one photo, from its sizes alone: operations, and time.

An operation is not worth the same everywhere: a depthwise convolution reads each value for few
multiplications, and a large map with few operations still has to be written. So the time of a
layer is modelled as

    a · multiply-accumulates (MACs) of dense convolutions
    + b · MACs of depthwise convolutions + c · values written,

with prices fitted to the measured times, on one thread in fp32 and in 8-bit integers, of networks
of many shapes: `python -m perf.measurements.prices`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from training.networks.student import StudentSizes

GMAC = 1e9  # multiply-accumulates
GROUP = 8  # hardware likes widths that are multiples of this


@dataclass(frozen=True)
class Layer:
    """One layer's work for one photo."""

    dense: int  # MACs of a convolution over all maps, or of a matrix product
    depthwise: int  # MACs of a convolution of each map by itself
    values: int  # written


@dataclass(frozen=True)
class Prices:
    """Milliseconds for a million of each."""

    dense: float
    depthwise: float
    values: float


# Of one thread of an AMD EPYC with AVX-512, in OpenVINO; the mean of fp32 and 8-bit integers.
# They explain the times of twelve networks to 3 %, beside a constant.
PRICES = Prices(dense=0.0097, depthwise=0.086, values=0.145)


def layers(sizes: StudentSizes) -> Iterator[Layer]:
    """All convolutions, and the finalizer's products."""
    side = sizes.canvas // 2
    yield Layer(side**2 * sizes.stem * 3 * 9, 0, side**2 * sizes.stem)
    width, sides = sizes.stem, {}
    for number, block in enumerate(sizes.blocks, start=1):
        if block.expand:
            yield Layer(side**2 * width * block.hidden, 0, side**2 * block.hidden)
        side //= block.stride
        yield Layer(0, side**2 * block.hidden * 9, side**2 * block.hidden)
        yield Layer(side**2 * block.hidden * block.out, 0, side**2 * block.out)
        width = block.out
        sides[number] = side
    finest = sides[sizes.taps[0]]
    for tap in sizes.taps:
        written = (sides[tap] ** 2 + finest**2) * sizes.lateral
        yield Layer(sides[tap] ** 2 * sizes.blocks[tap - 1].out * sizes.lateral, 0, written)
    yield Layer(finest**2 * sizes.lateral * sizes.readout * 9, 0, finest**2 * sizes.readout)
    yield Layer(finest**2 * sizes.readout * 2, 0, finest**2 * 2)
    yield Layer(2 * sizes.grid * finest * (finest + sizes.grid), 0, 2 * sizes.grid**2)


def macs(sizes: StudentSizes) -> int:
    """Multiply-accumulates for one photo."""
    return sum(layer.dense + layer.depthwise for layer in layers(sizes))


def milliseconds(sizes: StudentSizes, prices: Prices = PRICES) -> float:
    """The modelled time for one photo on one thread, less what does not depend on widths."""
    return (
        sum(
            prices.dense * layer.dense
            + prices.depthwise * layer.depthwise
            + prices.values * layer.values
            for layer in layers(sizes)
        )
        / 1e6
    )


def groups(sizes: StudentSizes) -> list[str]:
    """The sets of feature maps that can be narrowed, each by itself.

    Maps that are added to each other, or convolved one by one, can only go together:
    `stem` includes the first block's hidden maps; `stream N` is the output of block N and of
    the residual blocks after it; `hidden N` is inside block N.
    """
    names = ["stem"]
    for number, block in enumerate(sizes.blocks, start=1):
        if not block.residual:
            names.append(f"stream {number}")
        if number > 1:
            names.append(f"hidden {number}")
    return [*names, "lateral", "readout"]


def width(sizes: StudentSizes, group: str) -> int:
    """How many feature maps a group has."""
    kind, _, number = group.partition(" ")
    match kind:
        case "hidden":
            return sizes.blocks[int(number) - 1].hidden
        case "stream":
            return sizes.blocks[int(number) - 1].out
        case _:
            found: int = getattr(sizes, kind)
            return found


def with_width(sizes: StudentSizes, group: str, width: int) -> StudentSizes:
    """The sizes with one group of another width, wherever its maps occur."""
    kind, _, number = group.partition(" ")
    if kind == "lateral":
        return replace(sizes, lateral=width)
    if kind == "readout":
        return replace(sizes, readout=width)
    blocks = list(sizes.blocks)
    if kind == "stem":
        blocks[0] = replace(blocks[0], hidden=width)
        return replace(sizes, stem=width, blocks=tuple(blocks))
    first = int(number) - 1
    if kind == "hidden":
        blocks[first] = replace(blocks[first], hidden=width)
        return replace(sizes, blocks=tuple(blocks))
    for index in stream_blocks(sizes, group):
        blocks[index - 1] = replace(blocks[index - 1], out=width)
    return replace(sizes, blocks=tuple(blocks))


def stream_blocks(sizes: StudentSizes, group: str) -> list[int]:
    """The numbers of the blocks whose outputs are added up in `stream N`."""
    first = int(group.partition(" ")[2])
    last = first
    while last < len(sizes.blocks) and sizes.blocks[last].residual:
        last += 1
    return list(range(first, last + 1))


def saving(
    sizes: StudentSizes,
    group: str,
    maps: int = GROUP,
    cost: Callable[[StudentSizes], float] = milliseconds,
) -> float:
    """What removing maps saves: in their own layers and in all that read them."""
    narrower = with_width(sizes, group, width(sizes, group) - maps)
    return cost(sizes) - cost(narrower)
