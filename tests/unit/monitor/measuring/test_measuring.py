"""The reading of all measures, and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.measuring.measures import MEASURES, Reading, Values, whole
from services.monitor.measuring.measuring import Measuring, until_next


async def some() -> Mapping[str, Values]:
    return {"active_tasks": whole(3), "worker_active_tasks": {"a@x": 3}}


async def more() -> Mapping[str, Values]:
    return {"worker_active_tasks": {"b@x": 1}, "queue_length": {}}


async def failing() -> Mapping[str, Values]:
    raise ConnectionError("the broker is away")


async def test_a_reading_has_what_all_sources_know() -> None:
    measuring = Measuring([some, failing, more])
    reading = await measuring.read()
    assert reading.values == {
        "active_tasks": {"": 3},
        "worker_active_tasks": {"a@x": 3, "b@x": 1},
        # Known: no queue is there.
        "queue_length": {},
    }
    assert measuring.newest is reading


async def odd() -> Mapping[str, Values]:
    return {"queue_length": {"nul\0in_it": 1, "half\ud83d": 2, "\x1b[31m紅\n": 3}}


async def test_names_that_no_table_can_hold_are_told_as_ones_that_it_can() -> None:
    reading = await Measuring([odd]).read()
    assert reading.values == {"queue_length": {"nul\ufffdin_it": 1, "half?": 2, "\x1b[31m紅\n": 3}}


async def test_a_follower_that_fails_does_not_stop_the_others() -> None:
    measuring, told = Measuring([some]), []

    async def fails(reading: Reading) -> None:
        raise ConnectionError("the database is away")

    async def takes(reading: Reading) -> None:
        told.append(reading)

    measuring.follow(fails)
    measuring.follow(takes)
    assert told == [] and measuring.newest is None
    first = await measuring.read()
    second = await measuring.read()
    assert told == [first, second]


@given(now=st.floats(0, 4e9), every=st.floats(0.5, 60))
def test_readings_come_at_multiples_of_the_interval(now: float, every: float) -> None:
    seconds = until_next(now, every)
    assert every / 2 <= seconds <= every * 1.5
    assert (now + seconds) % every == pytest.approx(0, abs=1e-4) or (now + seconds) % every == pytest.approx(
        every, abs=1e-4
    )


def test_each_measure_has_a_meaning() -> None:
    assert all(measure.meaning and name == measure.name for name, measure in MEASURES.items())
