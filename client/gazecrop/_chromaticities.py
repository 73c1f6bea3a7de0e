"""Colours as a PNG's chunks cHRM and gAMA tell them, as an ICC profile (ICC.1, version 2)."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

D50 = np.array([0.9642, 1.0, 0.8249])  # the white of profiles, XYZ
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)  # XYZ → responses of the eye's cones, in which whites adapt
HEADER, ENTRY = 128, struct.Struct(">4sII")
TAGS = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")


def profile_of(chromaticities: Sequence[float], gamma: float) -> bytes | None:
    """The profile of an RGB space; None if its chromaticities span none.

    Args:
        chromaticities: x, y of white, red, green and blue, in this order.
        gamma: the exponent that makes a value proportional to light, such as 2.2.
    """
    xy = np.array(chromaticities, float).reshape(4, 2)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            matrix = _to_d50(xy[0], xy[1:])
        tags = [b"XYZ \0\0\0\0" + _fixed(column) for column in matrix.T]
        tags += [b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))] * 3
    except (np.linalg.LinAlgError, struct.error, OverflowError, ValueError):
        return None
    table, start = struct.pack(">I", len(tags)), HEADER + 4 + ENTRY.size * len(tags)
    for name, tag in zip(TAGS, tags, strict=True):
        table += ENTRY.pack(name, start, len(tag))
        start += len(tag)
    header = struct.pack(">I4xI4s4s4s12x4s", start, 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return header.ljust(68, b"\0") + _fixed(D50) + bytes(HEADER - 80) + table + b"".join(tags)


def _to_d50(white: NDArray[np.float64], primaries: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix [3, 3] from linear RGB to XYZ under D50, as Lindbloom derives it."""
    columns = _xyz(primaries).T
    light = _xyz(white)
    matrix = columns * np.linalg.solve(columns, light)
    cones = (BRADFORD @ D50) / (BRADFORD @ light)
    adapted = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ matrix
    if not np.isfinite(adapted).all():
        raise ValueError("no such white")
    return np.asarray(adapted)


def _xyz(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """XYZ with Y = 1, of x and y in the last axis."""
    x, y = xy[..., 0], xy[..., 1]
    return np.stack([x / y, np.ones_like(y), (1 - x - y) / y], axis=-1)


def _fixed(numbers: NDArray[np.float64]) -> bytes:
    """Numbers as s15Fixed16."""
    return struct.pack(">3i", *(round(number * 65536) for number in numbers))
