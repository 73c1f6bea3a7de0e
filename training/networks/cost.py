"""What a student costs: multiply-accumulates (MACs) for one photo, from its sizes alone."""

from dataclasses import replace

from training.networks.student import StudentSizes

GMAC = 1e9  # multiply-accumulates
GROUP = 8  # hardware likes widths that are multiples of this


def macs(sizes: StudentSizes) -> int:
    """Multiply-accumulates for one photo: all convolutions and the finalizer's products."""
    side = sizes.canvas // 2
    total = side**2 * sizes.stem * 3 * 9
    width, sides = sizes.stem, {}
    for number, block in enumerate(sizes.blocks, start=1):
        if block.expand:
            total += side**2 * width * block.hidden
        side //= block.stride
        total += side**2 * block.hidden * (9 + block.out)
        width = block.out
        sides[number] = side
    for tap in sizes.taps:
        total += sides[tap] ** 2 * sizes.blocks[tap - 1].out * sizes.lateral
    finest = sides[sizes.taps[0]]
    total += finest**2 * sizes.readout * (sizes.lateral * 9 + 1)
    return total + sizes.grid * finest * (finest + sizes.grid)


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


def saving(sizes: StudentSizes, group: str, maps: int = GROUP) -> int:
    """MACs saved by removing maps of a group: in its own layers and in all that read them."""
    return macs(sizes) - macs(with_width(sizes, group, width(sizes, group) - maps))
