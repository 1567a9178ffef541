"""Definitions that make no sense: refused, each by its field."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.latlng_pb2 import LatLng

from tests.support.calls import fields_at_fault
from tests.support.schedules import CRONTAB, FUTURE, SECOND, at, create, schedule_of

LONG = Duration(seconds=400 * 86400)
# An interval may be longer than a jitter or a window.
LONGEST = Duration(seconds=3661 * 86400)
TINY = Duration(nanos=1000)
HUGE = Duration(seconds=315_576_000_000)
BAD_TIME = Timestamp(seconds=10**15)
# What Go calls no time, and .NET the greatest one: PostgreSQL's infinities to asyncpg.
ZERO_TIME = Timestamp(seconds=-62_135_596_800)
LAST_TIME = Timestamp(seconds=253_402_300_799, nanos=999_999_900)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (schedule_of(pb.Timing(crontab=pb.Crontab(expression="@reboot"))), "timing.crontab.expression"),
        (schedule_of(pb.Timing(crontab=pb.Crontab(expression="@daily 5"))), "timing.crontab.expression"),
        (schedule_of(pb.Timing(interval=pb.Interval())), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every=TINY))), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every=LONGEST))), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every=HUGE))), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": -5}))), "timing.interval.every"),
        (
            schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": 9}, anchor=BAD_TIME))),
            "timing.interval.anchor",
        ),
        (schedule_of(pb.Timing(once=pb.Once())), "timing.once.at"),
        (schedule_of(pb.Timing(once=pb.Once(at=BAD_TIME))), "timing.once.at"),
        (schedule_of(pb.Timing(once=pb.Once(at={"seconds": 1}))), "timing"),
        (schedule_of(pb.Timing(solar=pb.Solar(place=LatLng(latitude=1, longitude=1)))), "timing.solar.event"),
        (
            schedule_of(pb.Timing(solar=pb.Solar(event=99, place=LatLng(latitude=1, longitude=1)))),  # type: ignore[arg-type]
            "timing.solar.event",
        ),
        (
            schedule_of(pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET))),
            "timing.solar.place",
        ),
        (
            schedule_of(
                pb.Timing(
                    solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, place=LatLng(latitude=90.1, longitude=1))
                )
            ),
            "timing.solar.place.latitude",
        ),
        (
            schedule_of(
                pb.Timing(
                    solar=pb.Solar(
                        event=pb.SOLAR_EVENT_SUNSET, place=LatLng(latitude=1, longitude=float("nan"))
                    )
                )
            ),
            "timing.solar.place.longitude",
        ),
        # The sun never rises nor sets within a day at the pole.
        (
            schedule_of(
                pb.Timing(
                    solar=pb.Solar(event=pb.SOLAR_EVENT_SUNRISE, place=LatLng(latitude=90, longitude=0))
                )
            ),
            "timing",
        ),
        (schedule_of(CRONTAB, start_time=BAD_TIME), "start_time"),
        (schedule_of(CRONTAB, start_time=ZERO_TIME), "start_time"),
        (schedule_of(CRONTAB, start_time=LAST_TIME), "start_time"),
        (schedule_of(CRONTAB, end_time=BAD_TIME), "end_time"),
        (schedule_of(CRONTAB, end_time=ZERO_TIME), "end_time"),
        (schedule_of(pb.Timing(once=pb.Once(at=LAST_TIME))), "timing.once.at"),
        (
            schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": 9}, anchor=ZERO_TIME))),
            "timing.interval.anchor",
        ),
        (schedule_of(CRONTAB, start_time=at(FUTURE), end_time=at(FUTURE - SECOND)), "end_time"),
        (schedule_of(CRONTAB, end_time={"seconds": 1}), "timing"),
        (schedule_of(CRONTAB, max_runs=-1), "max_runs"),
        (schedule_of(CRONTAB, max_runs=2**62), "max_runs"),
        (schedule_of(CRONTAB, jitter=TINY), "jitter"),
        (schedule_of(CRONTAB, jitter=LONG), "jitter"),
        (schedule_of(CRONTAB, jitter={"seconds": -1}), "jitter"),
        (schedule_of(CRONTAB, misfire_policy=pb.MisfirePolicy(action=9)), "misfire_policy.action"),  # type: ignore[arg-type]
        (schedule_of(CRONTAB, misfire_policy=pb.MisfirePolicy(window=LONG)), "misfire_policy.window"),
        (schedule_of(CRONTAB, misfire_policy=pb.MisfirePolicy(window={})), "misfire_policy.window"),
        (
            schedule_of(
                CRONTAB,
                misfire_policy=pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP, window={"seconds": 9}),
            ),
            "misfire_policy.window",
        ),
    ],
)
def test_nonsense_is_refused_by_field_at_creation_and_in_a_preview(
    schedules: Any, broken: pb.Schedule, field: str
) -> None:
    create = schedules.CreateSchedule
    assert fields_at_fault(create, pb.CreateScheduleRequest(schedule=broken)) == [f"schedule.{field}"]
    if field != "timing":
        request = pb.PreviewTimesRequest(schedule=broken)
        assert fields_at_fault(schedules.PreviewTimes, request) == [f"schedule.{field}"]


def test_an_end_at_the_last_moment_of_all_is_an_end(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB, end_time=LAST_TIME))
    assert stored.end_time == Timestamp(seconds=LAST_TIME.seconds)
    got = schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule
    assert got.end_time == stored.end_time


def test_jitter_must_leave_time_until_the_message_expires(schedules: Any) -> None:
    broken = schedule_of(CRONTAB, jitter={"seconds": 60})
    broken.task.expires.seconds = 60
    request = pb.CreateScheduleRequest(schedule=broken)
    assert fields_at_fault(schedules.CreateSchedule, request) == ["schedule.jitter"]
    broken.task.expires.seconds = 61
    stored = create(schedules, broken)
    shorter = pb.Schedule(name=stored.name, task=pb.TaskSpec(task_name="count", expires={"seconds": 5}))
    change = pb.UpdateScheduleRequest(schedule=shorter, update_mask=FieldMask(paths=["task"]))
    assert fields_at_fault(schedules.UpdateSchedule, change) == ["schedule.jitter"]


def test_a_change_of_one_bound_is_held_against_the_other(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB, start_time=at(FUTURE)))
    early = pb.Schedule(name=stored.name, end_time=at(FUTURE - SECOND))
    change = pb.UpdateScheduleRequest(schedule=early, update_mask=FieldMask(paths=["end_time"]))
    assert fields_at_fault(schedules.UpdateSchedule, change) == ["schedule.end_time"]
