"""Blocks of the search index: which tasks of a slice have which keys.

A slice numbers its tasks from 0 on, in the order of lists, the oldest first. A block holds the tasks of one
key that many have, as a bitmap; or those of several keys that follow each other, as lists of numbers:

    byte     0 for lists, 1 for a bitmap
    bitmap   bit n (from the lowest of the first byte on) is set if task n has the key
    lists    count of keys (2 bytes), the keys (8 each), where the list of each ends (2 each; in numbers, from
             the first list's beginning), the numbers (2 each)

All integers are little-endian. A block is found by its first key.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TypeAlias

from services.monitor.search.grams import Keys

LISTS, BITMAP = 0, 1
HEAD = struct.Struct("<BH")
KEY_BYTES, NUMBER_BYTES = 8, 2
# The tasks of a slice are numbered with so many bits.
NUMBER_BITS = 13
MOST_TASKS = 1 << NUMBER_BITS
# With this size a row of the table is stored in its page, not beside it.
MOST_BYTES = 1900


def block_of_lists(keys: Sequence[int], ends: Sequence[int], numbers: bytes) -> bytes:
    return HEAD.pack(LISTS, len(keys)) + struct.pack(f"<{len(keys)}q{len(keys)}H", *keys, *ends) + numbers


def block_of_bitmap(bitmap: bytes) -> bytes:
    return bytes([BITMAP]) + bitmap


# Tasks of a slice: their numbers, or, if they are many, a number in which bit n stands for task n.
Tasks: TypeAlias = set[int] | int


class Found:
    """The tasks of a slice that have one of some keys."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._bitmaps: list[bytes] = []

    def take(self, first: int, block: bytes, wanted: Keys) -> None:
        """Adds the tasks of the wanted keys in a block whose first key is `first`."""
        if block[0] == BITMAP:
            if wanted.low <= first <= wanted.high:
                self._bitmaps.append(block[1:])
            return
        _, count = HEAD.unpack_from(block)
        keys = _integers("q", block, HEAD.size, count)
        begin, end = bisect_left(keys, wanted.low), bisect_right(keys, wanted.high)
        if begin == end:
            return
        at = HEAD.size + count * KEY_BYTES
        ends = _integers("H", block, at, count)
        at += count * NUMBER_BYTES
        start = ends[begin - 1] if begin else 0
        self._numbers.update(_integers("H", block, at + start * NUMBER_BYTES, ends[end - 1] - start))

    @property
    def size(self) -> int:
        """About how many tasks they are."""
        return len(self._numbers) + sum(int.from_bytes(bitmap).bit_count() for bitmap in self._bitmaps)

    def bits(self) -> int:
        """Returns a number whose bit n is set if task n is one of them."""
        found = 0
        for bitmap in self._bitmaps:
            found |= int.from_bytes(bitmap, "little")
        if self._numbers:
            listed = bytearray((max(self._numbers) >> 3) + 1)
            for number in self._numbers:
                listed[number >> 3] |= 1 << (number & 7)
            found |= int.from_bytes(listed, "little")
        return found

    def few_or_bits(self) -> Tasks:
        return self.bits() if self._bitmaps else self._numbers

    def among(self, tasks: Tasks) -> Tasks:
        """Returns those of the tasks that are here, too."""
        if isinstance(tasks, int):
            if self._bitmaps:
                return tasks & self.bits()
            return {number for number in self._numbers if tasks >> number & 1}
        found = tasks & self._numbers
        for bitmap in self._bitmaps:
            found.update([number for number in tasks if bitmap[number >> 3] >> (number & 7) & 1])
        return found


def in_all(groups: Sequence[Found], within: Tasks | None = None) -> Tasks:
    """Returns the tasks that are in each of the groups (one or more); of those `within`, if it is given."""
    rarest_first = sorted(groups, key=lambda found: found.size)
    tasks = rarest_first.pop(0).few_or_bits() if within is None else within
    for found in rarest_first:
        if not tasks:
            break
        tasks = found.among(tasks)
    return tasks


def newest_first(tasks: Tasks) -> list[int]:
    """Returns the numbers of the tasks, the highest first."""
    if isinstance(tasks, set):
        return sorted(tasks, reverse=True)
    written = f"{tasks:b}"
    highest = len(written) - 1
    return [highest - place for place, bit in enumerate(written) if bit == "1"]


def _integers(kind: str, block: bytes, at: int, count: int) -> array[int]:
    """Returns so many little-endian integers of 8 bytes ("q") or of 2 ("H")."""
    integers = array(kind)
    integers.frombytes(block[at : at + count * integers.itemsize])
    if sys.byteorder == "big":
        integers.byteswap()
    return integers
