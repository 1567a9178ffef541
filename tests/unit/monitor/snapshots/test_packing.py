"""Values in bytes, and how they become coarser."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.snapshots.packing import (
    blocks_of,
    merged,
    nothing,
    pack_block,
    pack_reading,
    summary,
    thinned,
    unpack_block,
    unpack_reading,
)
from services.monitor.snapshots.steps import COARSER, FINEST, HOUR, MINUTE, STEPS, Step

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
sizes = st.floats(0, 2**40, width=32)
# A value that is not known among many.
known_or_not = st.one_of(st.just(math.nan), sizes)


def same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True)
    )


@given(st.data())
def test_a_block_is_what_was_packed(data: st.DataObject) -> None:
    step = data.draw(st.sampled_from(STEPS))
    values = data.draw(st.lists(known_or_not, min_size=step.points, max_size=step.points))
    block = [array("f", values) for _ in range(step.rows)]
    found = unpack_block(pack_block(block), step)
    assert len(found) == step.rows and all(same(one, other) for one, other in zip(found, block, strict=True))


@given(st.dictionaries(st.integers(1, 2**31 - 1), floats))
def test_a_reading_is_what_was_packed(values: dict[int, float]) -> None:
    assert unpack_reading(pack_reading(values)) == values


def test_readings_become_a_block_of_each_series() -> None:
    blocks = blocks_of([(0, {1: 5.0}), (359, {1: 7.0, 2: 0.0})], FINEST)
    assert blocks[1][0][0] == 5 and blocks[1][0][359] == 7
    assert sum(not math.isnan(value) for value in blocks[1][0]) == 2
    assert sum(not math.isnan(value) for value in blocks[2][0]) == 1


def plain(finer: dict[int, list[list[float]]], step: Step, to: Step) -> list[list[float]]:
    """Thins value by value."""
    each = to.seconds // step.seconds
    found: list[list[float]] = [[math.nan] * to.points for _ in range(3)]
    for point in range(to.points):
        parts = []
        for part in range(point * each, (point + 1) * each):
            block = finer.get(part // step.points)
            if block is not None and not math.isnan(block[0][part % step.points]):
                parts.append([row[part % step.points] for row in block])
        if parts:
            found[0][point] = sum(part[0] for part in parts) / len(parts)
            found[1][point] = min(part[1 if len(part) > 1 else 0] for part in parts)
            found[2][point] = max(part[-1] for part in parts)
    return found


@pytest.mark.parametrize("step", COARSER)
@given(data=st.data())
def test_a_coarser_step_has_mean_least_and_greatest_of_what_is_known(step: Step, data: st.DataObject) -> None:
    to, finer = COARSER[step], {}
    for place in data.draw(st.sets(st.integers(0, int(to.span / step.span) - 1), max_size=3)):
        some = data.draw(st.lists(known_or_not, min_size=1, max_size=9))
        row = [some[number % len(some)] for number in range(step.points)]
        finer[place] = [row, [value - 1 for value in row], [value + 1 for value in row]][: step.rows]
    blocks = {place: [array("f", row) for row in block] for place, block in finer.items()}
    expected = plain({place: [list(row) for row in block] for place, block in blocks.items()}, step, to)
    for found, wanted in zip(thinned(blocks, step, to), expected, strict=True):
        assert same([math.isnan(value) for value in found], [math.isnan(value) for value in wanted])
        known = [(one, two) for one, two in zip(found, wanted, strict=True) if not math.isnan(one)]
        assert [one for one, _ in known] == pytest.approx([two for _, two in known], rel=1e-6)


def test_an_empty_step_is_not_known() -> None:
    assert summary([nothing(6)]) is None
    assert all(math.isnan(value) for row in thinned({}, FINEST, MINUTE) for value in row)


def test_what_is_known_stays_when_more_comes() -> None:
    known, newer = array("f", [1, math.nan, math.nan]), array("f", [2, 3, math.nan])
    assert same(merged([known], [newer])[0], [1, 3, math.nan])


def test_blocks_of_a_step_fill_those_of_the_next() -> None:
    assert MINUTE.span % FINEST.span == HOUR.span % MINUTE.span == type(HOUR.span)(0)
