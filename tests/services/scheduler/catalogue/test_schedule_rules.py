"""Timing and rules of a schedule by the contract: told as they were made, changed by field, and kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.calls import eventually
from tests.support.schedules import (
    CRONTAB,
    DAY,
    FUTURE,
    HOUR,
    INTERVAL,
    MINUTE,
    ONCE,
    SECOND,
    SOLAR,
    at,
    create,
    schedule_of,
    update,
)


@pytest.mark.parametrize("timing", [CRONTAB, INTERVAL, ONCE, SOLAR])
def test_every_timing_and_rule_comes_back_as_it_was_created(schedules: Any, timing: pb.Timing) -> None:
    wanted = schedule_of(
        timing,
        start_time=at(FUTURE - DAY),
        end_time=at(FUTURE + DAY),
        max_runs=12,
        jitter={"nanos": 250_000_000},
        misfire_policy=pb.MisfirePolicy(action=pb.MISFIRE_ACTION_RUN_EACH, window={"seconds": 7200}),
    )
    create(schedules, wanted)
    stored = schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule
    wanted.timing.time_zone = wanted.timing.time_zone or "Asia/Taipei"
    for field in ("timing", "start_time", "end_time", "max_runs", "jitter", "misfire_policy"):
        assert getattr(stored, field) == getattr(wanted, field), field
    first = schedules.PreviewTimes(pb.PreviewTimesRequest(schedule=wanted, count=1)).times[0]
    assert stored.next_run_time == first


def test_what_is_unset_is_told_as_what_is_in_force(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB))
    assert stored.misfire_policy == pb.MisfirePolicy(
        action=pb.MISFIRE_ACTION_RUN_ONCE, window={"seconds": 3600}
    )
    assert (stored.max_runs, stored.run_count) == (0, 0)
    for field in ("start_time", "end_time", "jitter"):
        assert not stored.HasField(field)


def test_an_interval_without_an_anchor_begins_at_the_start_time_or_one_pace_from_now(schedules: Any) -> None:
    hourly = pb.Timing(interval=pb.Interval(every={"seconds": 3600}))
    later = create(schedules, schedule_of(hourly, start_time=at(FUTURE)))
    assert later.next_run_time == later.timing.interval.anchor == at(FUTURE)
    now = dt.datetime.now(dt.UTC)
    first = create(schedules, schedule_of(hourly)).next_run_time.ToDatetime(dt.UTC)
    assert abs(first - now - HOUR) < MINUTE


def test_a_change_that_keeps_the_pace_keeps_the_anchor(schedules: Any) -> None:
    stored = create(schedules, schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": 3600}))))
    again = pb.Schedule(name=stored.name, timing=pb.Timing(interval=pb.Interval(every={"seconds": 3600})))
    assert update(schedules, again, "timing") == stored
    again.timing.interval.every.seconds = 7200
    assert update(schedules, again, "timing").timing.interval.anchor != stored.timing.interval.anchor


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("start_time", {"start_time": at(FUTURE)}),
        ("end_time", {"end_time": at(FUTURE)}),
        ("max_runs", {"max_runs": 7}),
        ("jitter", {"jitter": {"seconds": 9}}),
        ("misfire_policy", {"misfire_policy": pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP)}),
        ("timing", {"timing": SOLAR}),
    ],
)
def test_the_mask_covers_each_field_alone(schedules: Any, path: str, change: dict[str, Any]) -> None:
    stored = create(schedules, schedule_of(CRONTAB, description="as it was"))
    changed = update(schedules, pb.Schedule(name=stored.name, description="no", **change), path)
    expected = pb.Schedule(**change)
    if path == "timing":
        expected.timing.time_zone = "Asia/Taipei"
    assert getattr(changed, path) == getattr(expected, path)
    others = {"start_time", "end_time", "max_runs", "jitter", "misfire_policy", "timing", "description"}
    for other in others - {path}:
        assert getattr(changed, other) == getattr(stored, other)
    # And back again, by naming the field and leaving it unset.
    if path != "timing":
        back = update(schedules, pb.Schedule(name=stored.name), path)
        assert getattr(back, path) == getattr(stored, path)


def test_a_schedule_that_has_ended_has_no_next_run(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB))
    ended = update(schedules, pb.Schedule(name=stored.name, end_time=at(dt.datetime.now(dt.UTC))), "end_time")
    assert stored.HasField("next_run_time") and not ended.HasField("next_run_time")


def test_a_schedule_runs_its_most_times_and_is_done(schedules: Any) -> None:
    soon = dt.datetime.now(dt.UTC)
    timing = pb.Timing(interval=pb.Interval(every={"seconds": 1}, anchor=at(soon)))
    stored = create(schedules, schedule_of(timing, max_runs=2))

    def done() -> Any:
        found = schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule
        return not found.HasField("next_run_time") and found

    assert eventually(done).run_count == 2
    runs = schedules.ListRuns(pb.ListRunsRequest(parent=stored.name)).runs
    assert len(runs) == 2


def test_once_runs_once(schedules: Any) -> None:
    moment = dt.datetime.now(dt.UTC) + SECOND
    stored = create(schedules, schedule_of(pb.Timing(once=pb.Once(at=at(moment)))))

    def published() -> Any:
        runs = schedules.ListRuns(pb.ListRunsRequest(parent=stored.name)).runs
        return [run for run in runs if run.state == pb.RUN_STATE_PUBLISHED]

    (run,) = eventually(published)
    assert run.due_time == at(moment)
    after = schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule
    assert not after.HasField("next_run_time")
