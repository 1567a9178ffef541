"""Due times told beforehand, of a timing, a proposed schedule or a stored one."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.type.latlng_pb2 import LatLng

from tests.support.calls import fields_at_fault
from tests.support.schedules import (
    CRONTAB,
    DAY,
    FUTURE,
    HOUR,
    INTERVAL,
    ONCE,
    SECOND,
    SOLAR,
    at,
    create,
    schedule_of,
)


def preview(schedules: Any, **source: Any) -> tuple[list[dt.datetime], list[dt.datetime]]:
    found = schedules.PreviewTimes(pb.PreviewTimesRequest(**source))
    return [each.ToDatetime(dt.UTC) for each in found.times], [
        each.ToDatetime(dt.UTC) for each in found.send_times
    ]


@pytest.mark.parametrize("timing", [CRONTAB, INTERVAL, ONCE, SOLAR])
def test_every_proposed_timing_is_previewed(schedules: Any, timing: pb.Timing) -> None:
    times, sent = preview(schedules, timing=timing, start_time=at(FUTURE - SECOND), count=3)
    expected: list[dt.datetime] = {
        "crontab": [FUTURE + 3 * HOUR + number * DAY for number in range(3)],
        "interval": [FUTURE + number * 1.5 * SECOND for number in range(3)],
        "once": [FUTURE],
        # Taipei, by the almanac: 10:39, 10:40, 10:40 UTC.
        "solar": times,
    }[timing.WhichOneof("kind") or ""]
    assert times == expected
    assert sent == []
    if timing is SOLAR:
        assert [moment.hour for moment in times] == [10, 10, 10]


def test_a_preview_marks_what_a_change_of_the_clocks_has_to_do_with(schedules: Any) -> None:
    # New York, 2026-11-01: 02:00 becomes 01:00 again.
    timing = pb.Timing(crontab=pb.Crontab(expression="*/30 1 * * *"), time_zone="America/New_York")
    night = dt.datetime(2026, 11, 1, 5, tzinfo=dt.UTC)
    request = pb.PreviewTimesRequest(timing=timing, start_time=at(night - SECOND), count=5)
    found = schedules.PreviewTimes(request)
    assert [each.ToDatetime(dt.UTC) for each in found.times[:4]] == [
        night + number * HOUR / 2 for number in range(4)
    ]
    assert [(mark.time, mark.effect) for mark in found.clock_marks] == [
        (found.times[2], pb.CLOCK_EFFECT_SECOND_PASS),
        (found.times[3], pb.CLOCK_EFFECT_SECOND_PASS),
    ]
    timing.crontab.expression = "30 1 * * *"
    [mark] = schedules.PreviewTimes(
        pb.PreviewTimesRequest(timing=timing, start_time=at(night), count=3)
    ).clock_marks
    assert mark.effect == pb.CLOCK_EFFECT_FIRST_ONLY


def test_a_preview_stays_within_bounds_and_most_runs(schedules: Any) -> None:
    proposed = pb.Schedule(timing=CRONTAB, start_time=at(FUTURE + 3 * HOUR), end_time=at(FUTURE + 5 * DAY))
    times, _ = preview(schedules, schedule=proposed)
    assert times == [FUTURE + 3 * HOUR + number * DAY for number in range(5)]
    proposed.max_runs = 2
    times, _ = preview(schedules, schedule=proposed)
    assert len(times) == 2


def test_a_preview_tells_when_jitter_sends(schedules: Any) -> None:
    wanted = schedule_of(CRONTAB, jitter={"seconds": 3600})
    times, sent = preview(schedules, schedule=wanted)
    assert all(due <= moment < due + HOUR for due, moment in zip(times, sent, strict=True))
    create(schedules, wanted)
    assert preview(schedules, name=wanted.name) == (times, sent)


def test_a_preview_that_takes_long_holds_up_nobody(schedules: Any) -> None:
    """So near to the pole, each of a thousand sunrises is looked for through half a year of none."""
    stored = create(schedules, schedule_of(CRONTAB))
    sun = pb.Solar(event=pb.SOLAR_EVENT_SUNRISE, place=LatLng(latitude=88.6, longitude=12.5))
    answered = 0
    with concurrent.futures.ThreadPoolExecutor(1) as others:
        previewed = others.submit(preview, schedules, timing=pb.Timing(solar=sun), count=1000)
        while not previewed.done():
            schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name))
            answered += 1
    assert len(previewed.result()[0]) == 1000
    assert answered > 10


def test_a_preview_looks_400_years_ahead_and_says_so(schedules: Any) -> None:
    leap_days = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"), time_zone="UTC")
    request = pb.PreviewTimesRequest(timing=leap_days, start_time=at(FUTURE), count=1000)
    first = schedules.PreviewTimes(request)
    # The calendar repeats itself after 400 years, with 97 leap days.
    assert len(first.times) == 97
    assert first.looked_until.ToDatetime(dt.UTC) == FUTURE.replace(year=FUTURE.year + 400)
    request.start_time.CopyFrom(first.looked_until)
    following = schedules.PreviewTimes(request)
    assert following.times[0].ToDatetime(dt.UTC) == dt.datetime(2444, 2, 29, tzinfo=dt.UTC)


def test_a_preview_that_has_all_says_nothing_of_how_far_it_looked(schedules: Any) -> None:
    for timing in (CRONTAB, ONCE):
        found = schedules.PreviewTimes(pb.PreviewTimesRequest(timing=timing, start_time=at(FUTURE - SECOND)))
        assert found.times and not found.HasField("looked_until")


def test_a_preview_tells_the_sun_of_years_before_our_calendar_too(schedules: Any) -> None:
    start = dt.datetime(1500, 2, 28, tzinfo=dt.UTC)
    times, _ = preview(schedules, timing=SOLAR, start_time=at(start), count=3)
    assert [moment.day for moment in times] == [28, 1, 2]


def test_an_h_follows_from_the_name_wherever_it_is_told(schedules: Any) -> None:
    wanted = schedule_of(pb.Timing(crontab=pb.Crontab(expression="H H(1-5) LW * *"), time_zone="Asia/Taipei"))
    proposed = schedules.PreviewTimes(pb.PreviewTimesRequest(schedule=wanted, count=3)).times
    stored = create(schedules, wanted)
    assert stored.timing.crontab.expression == "H H(1-5) LW * *"
    assert stored.next_run_time == proposed[0]
    by_name = schedules.PreviewTimes(pb.PreviewTimesRequest(name=stored.name, count=3)).times
    assert list(by_name) == list(proposed)
    explained = schedules.ExplainSchedule(pb.ExplainScheduleRequest(name=stored.name))
    assert explained.next_run_time == proposed[0]
    assert not explained.edits or all(edit.kind for edit in explained.edits)
    refused = pb.PreviewTimesRequest(timing=wanted.timing)
    assert fields_at_fault(schedules.PreviewTimes, refused) == ["timing.crontab.expression"]
