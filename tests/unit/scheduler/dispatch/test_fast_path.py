"""What goes through in columns is what deciding one by one would have come to, for any definition."""

from __future__ import annotations

import dataclasses
import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.dispatch.decide import IN_TIME, decide
from services.scheduler.dispatch.fast_path import COLUMNS, InTime
from services.scheduler.schedule.definition import Definition, Overlap, Run, RunState, task_id
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.names import run_name
from services.scheduler.schedule.rows import values_of
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming
from services.scheduler.timing.plan import JUST_BEFORE, UNBOUNDED
from tests.unit.scheduler.definitions import CRONTABS, DEFINITIONS, MILLISECONDS, MOMENTS, ZONES

DUE = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9998, 12, 30), timezones=st.just(dt.UTC))
LATE = st.sampled_from([dt.timedelta(0), IN_TIME, IN_TIME + JUST_BEFORE]) | st.integers(
    0, 2 * 60_000_000
).map(lambda number: dt.timedelta(microseconds=number))
# Also such that are due again before a late run is in time no more.
SHORT = st.integers(1, 90).map(lambda seconds: dt.timedelta(seconds=seconds))
TIMINGS = (
    st.builds(CrontabTiming, CRONTABS, ZONES)
    | st.builds(IntervalTiming, MILLISECONDS, MOMENTS, ZONES)
    | st.builds(IntervalTiming, SHORT, st.just(dt.datetime(1, 1, 1, tzinfo=dt.UTC)), ZONES)
)
PLAIN = st.builds(
    lambda definition, timing: dataclasses.replace(
        definition, timing=timing, overlap=Overlap.ALLOW, bounds=UNBOUNDED, jitter=dt.timedelta(0)
    ),
    DEFINITIONS,
    TIMINGS,
)


NAMESPACES = st.none() | st.binary(min_size=16, max_size=16)


def row_of(definition: Definition, due: dt.datetime, namespace: bytes | None = None) -> tuple[object, ...]:
    """As the claim gives it."""
    values = {**values_of(definition, due), "next_run_at": definition.plan.sent_at(definition.id, due)}
    values["task_namespace"] = namespace
    return tuple(values[column] for column in COLUMNS.split(", "))


@given(PLAIN | DEFINITIONS, DUE, LATE, NAMESPACES)
def test_what_is_taken_is_decided_on_as_by_itself(
    definition: Definition, due: dt.datetime, late: dt.timedelta, namespace: bytes | None
) -> None:
    in_time = InTime(due + late)
    if not in_time.take(row_of(definition, due, namespace)):
        assert not (in_time.schedule_ids or in_time.following or in_time.runs)
        return
    decision = decide(definition.id, definition.plan, due, due + late, definition.bounds.max_runs)
    assert definition.overlap is Overlap.ALLOW
    assert decision.runs == (Run(definition.id, due, RunState.PENDING, "due"),)
    assert in_time.schedule_ids == [definition.id]
    assert in_time.following == [decision.next_due_at] == [decision.next_run_at]
    [run] = in_time.runs
    task = task_id(definition.id, due, namespace)
    message = MessageTemplate(definition.task).message(task, due, due + late, run_name(definition.id, due))
    assert run == (definition.id, due, message, due)


@given(PLAIN, DUE, LATE)
def test_all_that_is_plain_is_taken_in_time_and_nothing_late(
    definition: Definition, due: dt.datetime, late: dt.timedelta
) -> None:
    taken = InTime(due + late).take(row_of(definition, due))
    assert taken == (late <= IN_TIME)


@given(PLAIN, DUE)
def test_one_that_cannot_be_read_is_left_whole(definition: Definition, due: dt.datetime) -> None:
    row = row_of(definition, due)
    for column, broken in {
        "args_json": "[1, ",
        "kwargs_json": "[]",
        "headers": "[1]",
        "crontab": "each morning",
        "expires": float("nan"),
    }.items():
        place = COLUMNS.split(", ").index(column)
        in_time = InTime(due)
        assert not in_time.take((*row[:place], broken, *row[place + 1 :]))
        assert not (in_time.schedule_ids or in_time.following or in_time.runs)
