"""What users of other beats complain of, where it concerns the time at which something is due."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.dispatch.decide import decide
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, Timing, next_due
from services.scheduler.timing.plan import Plan

HOUR = dt.timedelta(hours=1)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def crontab(expression: str, zone: str) -> CrontabTiming:
    return CrontabTiming(parse_crontab(expression), zone)


def due_times(timing: Timing, after: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    found = []
    while (due := next_due(timing, after)) is not None and due <= until:
        found.append(due)
        after = due
    return found


def test_celery_9653_the_run_after_a_change_of_clocks_is_not_an_hour_late() -> None:
    timing = crontab("0 9 * * *", "Europe/Berlin")
    for day in ("2026-03-28", "2026-03-29", "2026-03-30", "2026-10-24", "2026-10-25", "2026-10-26"):
        due = next_due(timing, utc(day))
        assert due is not None
        assert due.astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%d %H:%M") == f"{day} 09:00"


def test_celery_an_interval_knows_no_change_of_clocks() -> None:
    timing = IntervalTiming(HOUR, utc("2026-10-24 00:30"), "Europe/Berlin")
    found = due_times(timing, utc("2026-10-24 12:00"), utc("2026-10-26 12:00"))
    assert len(found) == 48
    assert {after - before for before, after in pairwise(found)} == {HOUR}


def test_celery_each_minute_is_not_silent_while_the_clocks_go_back() -> None:
    # Celery's `* * * * *` is silent there for 61 minutes, and its hourly run is lost.
    start, end = utc("2026-11-01 04:00"), utc("2026-11-01 08:00")
    assert len(due_times(crontab("* * * * *", "America/New_York"), start, end)) == 240
    assert len(due_times(crontab("0 * * * *", "America/New_York"), start, end)) == 4


def test_django_celery_beat_134_nothing_shifts_on_the_day_on_which_the_clocks_change() -> None:
    zone = ZoneInfo("America/New_York")
    found = due_times(crontab("30 14 * * *", zone.key), utc("2026-01-01"), utc("2027-01-01"))
    assert len(found) == 365
    assert {due.astimezone(zone).strftime("%H:%M") for due in found} == {"14:30"}
    assert len({due.astimezone(zone).date() for due in found}) == 365


@pytest.mark.parametrize("now", ["2026-11-24 09:59:59", "2026-11-24 10:00:01", "2026-11-25 03:00"])
def test_celery_4806_what_ran_last_and_when_does_not_move_the_next_due_time(now: str) -> None:
    # There is no "last run" in it: the pattern and the clock alone decide.
    due = next_due(crontab("0 10 * * *", "UTC"), utc(now))
    assert due is not None and (due.hour, due.minute, due.second) == (10, 0, 0)
    assert dt.timedelta(0) < due - utc(now) <= dt.timedelta(days=1)


def test_celery_4041_one_due_time_is_decided_once_however_often_the_clock_is_set_back() -> None:
    plan, due = Plan(crontab("*/5 * * * *", "UTC")), utc("2026-11-24 10:00")
    decisions = [decide("a", plan, due, due + dt.timedelta(seconds=late)) for late in (0, 3, -2, 1, -30)]
    # The same run each time: its primary key, and so its task id and its marker on the broker, are the same.
    assert {decision.runs[0].task_id for decision in decisions} == {decisions[0].runs[0].task_id}
    assert {decision.next_due_at for decision in decisions} == {utc("2026-11-24 10:05")}


def test_celery_4041_a_schedule_far_behind_does_not_send_thousands() -> None:
    plan = Plan(IntervalTiming(dt.timedelta(seconds=1), utc("2026-01-01"), "UTC"))
    decision = decide("a", plan, utc("2026-01-01"), utc("2026-11-24"))
    assert [run.state.value for run in decision.runs] == ["skipped", "pending"]
    assert decision.next_due_at is not None and decision.next_due_at > utc("2026-11-24")
