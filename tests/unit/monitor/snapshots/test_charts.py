"""The steps of an answer, and its points."""

from __future__ import annotations

import datetime as dt
import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.snapshots.charts import Range, points_of, step_of
from services.monitor.snapshots.packing import nothing
from services.monitor.snapshots.steps import EPOCH, FINEST, HOUR, MINUTE, slot_of

NOW = dt.datetime(2026, 11, 24, 12, 0, 7, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("span", "points", "seconds"),
    [
        (dt.timedelta(hours=1), 300, 20),
        (dt.timedelta(hours=1), 2000, 10),
        (dt.timedelta(days=1), 300, 300),
        (dt.timedelta(days=7), 2000, 600),
        (dt.timedelta(days=7), 300, 3600),
        (dt.timedelta(days=365), 300, 2 * 86_400),
        (dt.timedelta(hours=36), 2000, 120),
    ],
)
def test_a_step_is_as_short_as_the_points_allow(span: dt.timedelta, points: int, seconds: int) -> None:
    assert step_of(Range(NOW - span, NOW), points, NOW) == pytest.approx(seconds, rel=0.01)


@given(start=st.integers(10**9, 2 * 10**9), span=st.integers(1, 400 * 86_400), points=st.integers(2, 2000))
def test_no_series_has_more_points_than_asked_for(start: int, span: int, points: int) -> None:
    within = Range(EPOCH + dt.timedelta(seconds=start), EPOCH + dt.timedelta(seconds=start + span))
    seconds = step_of(within, points, within.end)
    assert math.ceil((start + span) / seconds) - start // seconds <= points


@pytest.mark.parametrize(("days", "seconds"), [(0.5, 10), (2, 60), (31, 3600)])
def test_a_step_is_no_shorter_than_values_are_kept(days: float, seconds: int) -> None:
    start = NOW - dt.timedelta(days=days)
    assert step_of(Range(start, start + dt.timedelta(seconds=100)), 2000, NOW) == seconds


def test_what_is_not_known_is_a_gap() -> None:
    began, block = FINEST.block_of(NOW), nothing(FINEST.points)
    block[0], block[1], block[30] = 1.0, 3.0, 0.0
    points = list(points_of([(FINEST, began, [block])], Range(began, NOW + FINEST.span), 60))
    assert [(point.time, point.mean, point.least, point.greatest) for point in points] == [
        (began, 2.0, 1.0, 3.0),
        (began + dt.timedelta(minutes=5), 0.0, 0.0, 0.0),
    ]


def test_values_count_as_long_as_their_step_and_only_within_the_range() -> None:
    day = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    minutes = [array("f", [row]) * MINUTE.points for row in (10.0, 5.0, 20.0)]
    finest = [array("f", [1.0]) * FINEST.points]
    blocks = [(MINUTE, day, minutes), (FINEST, day + MINUTE.span, finest)]
    [point] = points_of(blocks, Range(day + dt.timedelta(hours=4), day + dt.timedelta(hours=7)), 86_400)
    assert point.time == day
    assert [point.mean, point.least, point.greatest] == pytest.approx([(2 * 10 + 1) / 3, 1.0, 20.0])


@given(
    seconds=st.integers(0, 86_400),
    length=st.integers(1, 86_400),
    step=st.sampled_from([10, 30, 60, 300, 3600]),
)
def test_points_are_those_of_a_plain_reckoning(seconds: int, length: int, step: int) -> None:
    day = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    blocks = [
        (FINEST, day + FINEST.span * hour, [array("f", range(hour, hour + FINEST.points))])
        for hour in range(24)
    ]
    within = Range(day + dt.timedelta(seconds=seconds), day + dt.timedelta(seconds=seconds + length))
    plain: dict[int, list[float]] = {}
    for _, began, block in blocks:
        for place, value in enumerate(block[0]):
            at = began + dt.timedelta(seconds=10 * place)
            if within.start <= at < within.end:
                plain.setdefault(int((at - EPOCH).total_seconds()) // step, []).append(value)
    found = {
        int((point.time - EPOCH).total_seconds()) // step: [point.mean, point.least, point.greatest]
        for point in points_of(blocks, within, step)
    }
    assert list(found) == list(plain)
    for bucket, known in plain.items():
        assert found[bucket] == pytest.approx([sum(known) / len(known), min(known), max(known)])


def test_a_reading_is_of_the_step_that_begins() -> None:
    ten = dt.datetime(2026, 11, 24, 12, 0, 10, tzinfo=dt.UTC)
    assert slot_of(ten - dt.timedelta(milliseconds=3)) == slot_of(ten + dt.timedelta(seconds=2)) == ten
    assert HOUR.block_of(ten) <= MINUTE.block_of(ten) <= FINEST.block_of(ten) <= ten
