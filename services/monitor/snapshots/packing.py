"""How values are kept in bytes.

    block     version (1 byte), then compressed: the values of all its steps, row after row (`Step.rows`)
    reading   version, then compressed: the numbers of the series (the first, then the differences from one
              to the next), and their values

Values are float32, numbers int32, little-endian; what is not known is NaN. Before the compression (zlib) the
first bytes of all values are put together, then the second ones, and so on (the byte shuffle of HDF5): signs
and exponents of neighbours are nearly the same.

Without numpy, which takes 12 MB: slices of arrays, with sum, min and max, are nearly as fast here.
"""

from __future__ import annotations

import math
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from services.monitor.snapshots.steps import Step

# `Step.rows` arrays of float32, each of `Step.points`.
Block: TypeAlias = Sequence["array[float]"]

VERSION = b"\1"
LEVEL = 6
WIDTH = 4


def pack_block(block: Block) -> bytes:
    return VERSION + zlib.compress(_shuffled(b"".join(map(_bytes, block))), LEVEL)


def unpack_block(packed: bytes, step: Step) -> Block:
    plain = _unshuffled(zlib.decompress(memoryview(packed)[1:]))
    size = len(plain) // step.rows
    return [_array("f", plain[at : at + size]) for at in range(0, len(plain), size)]


def pack_reading(values: Mapping[int, float]) -> bytes:
    """`values`: by the number of the series."""
    series = sorted(values)
    differences = array("i", (after - before for before, after in zip([0, *series], series, strict=False)))
    told = array("f", (values[each] for each in series))
    return VERSION + zlib.compress(_shuffled(_bytes(differences)) + _shuffled(_bytes(told)), LEVEL)


def unpack_reading(packed: bytes) -> Mapping[int, float]:
    plain = zlib.decompress(memoryview(packed)[1:])
    half = len(plain) // 2
    differences = map(int, _array("i", _unshuffled(plain[:half])))
    return dict(zip(accumulate(differences), _array("f", _unshuffled(plain[half:])), strict=True))


def blocks_of(readings: Iterable[tuple[int, Mapping[int, float]]], step: Step) -> Mapping[int, Block]:
    """Returns by series the block of its values in readings, each of which comes with its place in it."""
    found: dict[int, array[float]] = {}
    for place, values in readings:
        for series, value in values.items():
            block = found.get(series)
            if block is None:
                block = found[series] = nothing(step.points)
            block[place] = value
    return {series: [block] for series, block in found.items()}


def nothing(points: int) -> array[float]:
    """Returns so many values that are not known."""
    return array("f", [math.nan]) * points


def merged(known: Block, newer: Block) -> Block:
    """Returns the known values, and where there are none the newer ones."""
    return [
        array("f", (new if math.isnan(old) else old for old, new in zip(one, other, strict=True)))
        for one, other in zip(known, newer, strict=True)
    ]


def thinned(finer: Mapping[int, Block], step: Step, to: Step) -> Block:
    """Returns one block of a coarser step from blocks of a finer one, by their place in it (0, 1, …).

    A step's mean is that of its finer steps that are known; it is not known if none of them is.
    """
    rows = [nothing(to.points) for _ in range(to.rows)]
    each = to.seconds // step.seconds
    for place, block in finer.items():
        first = place * step.points // each
        for at in range(0, step.points, each):
            found = summary([row[at : at + each] for row in block])
            if found is not None:
                for row, value in zip(rows, found[1:], strict=True):
                    row[first + at // each] = value
    return rows


def summary(block: Block) -> tuple[int, float, float, float] | None:
    """Returns how many values are known, and their mean, the least and the greatest; None if none is."""
    means, least, greatest = block[0], block[len(block) // 2], block[-1]
    total = sum(means)
    if math.isnan(total):
        known = [value for value in means if not math.isnan(value)]
        if not known:
            return None
        least = greatest = array("f", known)
        if len(block) > 1:
            least, greatest = (array("f", (v for v in row if not math.isnan(v))) for row in block[1:])
        return len(known), sum(known) / len(known), min(least), max(greatest)
    return len(means), total / len(means), min(least), max(greatest)


def _shuffled(plain: bytes) -> bytes:
    return b"".join(plain[at::WIDTH] for at in range(WIDTH))


def _unshuffled(planes: bytes) -> bytes:
    size = len(planes) // WIDTH
    plain = bytearray(len(planes))
    for at in range(WIDTH):
        plain[at::WIDTH] = planes[at * size : (at + 1) * size]
    return bytes(plain)


def _bytes(values: array[float] | array[int]) -> bytes:
    return (values if sys.byteorder == "little" else _swapped(values)).tobytes()


def _array(kind: str, plain: bytes) -> array[float]:
    values: array[float] = array(kind)
    values.frombytes(plain)
    return values if sys.byteorder == "little" else _swapped(values)


def _swapped(values: array[float] | array[int]) -> array[float]:
    copy: array[float] = array(values.typecode, values)
    copy.byteswap()
    return copy
