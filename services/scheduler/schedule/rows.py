"""Converts table rows to schedules and runs, and definitions to the values of columns.

The API checks what it writes, but rows may also be written by SQL. So every column is checked here, when it
is read, and never again later. An exception other than `RowUnreadable` is a fault of our own code, and is not
caught.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from services.kernel.celery_message import texts_of
from services.kernel.errors import FailedPrecondition
from services.kernel.stored_values import Unreadable, span_of
from services.scheduler.schedule.definition import NEVER, Definition, Overlap, Run, RunState, Schedule, Task
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.timing.crontab import crontab_of
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming, Timing
from services.scheduler.timing.plan import (
    NO_TIME,
    ONCE_WITHIN_AN_HOUR,
    Bounds,
    Misfire,
    MisfireAction,
    Plan,
)
from services.scheduler.timing.solar import EVENTS
from services.scheduler.timing.stored import interval_of, zone_of

# An asyncpg.Record, or another mapping by column name.
Row: TypeAlias = Any

TASK_COLUMNS = "task, args_json, kwargs_json, queue, priority, expires, soft_time_limit, time_limit, headers"
PLAN_COLUMNS = (
    "crontab, interval_seconds, anchor, once_at, solar_event, latitude, longitude, time_zone,"
    " start_at, end_at, max_runs, jitter_seconds, misfire, misfire_window_seconds"
)
# The columns that `values_of` returns, in the same order, and their types.
COLUMN_TYPES: Mapping[str, str] = {
    "id": "text",
    "task": "text",
    "args_json": "text",
    "kwargs_json": "text",
    "queue": "text",
    "priority": "smallint",
    "expires": "float8",
    "soft_time_limit": "float8",
    "time_limit": "float8",
    "headers": "jsonb",
    "crontab": "text",
    "interval_seconds": "float8",
    "anchor": "timestamptz",
    "once_at": "timestamptz",
    "solar_event": "text",
    "latitude": "float8",
    "longitude": "float8",
    "time_zone": "text",
    "start_at": "timestamptz",
    "end_at": "timestamptz",
    "max_runs": "bigint",
    "jitter_seconds": "float8",
    "misfire": "text",
    "misfire_window_seconds": "float8",
    "overlap": "text",
    "resend_lost": "boolean",
    "pause_after_failures": "int",
    "description": "text",
    "labels": "jsonb",
    "paused": "boolean",
    "pause_note": "text",
    "next_run_at": "timestamptz",
    "next_due_at": "timestamptz",
}


Part = TypeVar("Part")
Member = TypeVar("Member", bound=Enum)


class RowUnreadable(Unreadable):
    """A row has a value that the API would have refused. The text names the column and the fault."""


def task_of(row: Row) -> Task:
    """Returns the task of a row. `template_of` checks the arguments.

    All functions that read a part of a row raise `RowUnreadable`.
    """
    headers = row["headers"]
    try:
        return Task(
            row["task"],
            row["args_json"],
            row["kwargs_json"],
            row["queue"],
            row["priority"],
            row["expires"],
            row["soft_time_limit"],
            row["time_limit"],
            {} if headers == "{}" else texts_of("headers", headers),
        )
    except Unreadable as error:
        raise RowUnreadable(f"{error}") from error


def template_of(row: Row) -> MessageTemplate:
    """Returns the message template of the schedule."""
    return _template(task_of(row))


def _template(task: Task) -> MessageTemplate:
    try:
        return MessageTemplate(task)
    except Unreadable as error:
        raise RowUnreadable(f"{error}") from error


def plan_of(row: Row) -> Plan:
    return Plan(
        timing_of(row),
        Bounds(moment_of(row, "start_at"), moment_of(row, "end_at"), row["max_runs"]),
        _read(row, "jitter_seconds", span_of),
        misfire_of(row),
    )


def timing_of(row: Row) -> Timing:
    zone: str = _read(row, "time_zone", zone_of).key
    if row["crontab"] is not None:
        return CrontabTiming(_read(row, "crontab", lambda text: crontab_of(text, row["id"])), zone)
    if row["interval_seconds"] is not None:
        every = _read(row, "interval_seconds", interval_of)
        return IntervalTiming(every, _finite("anchor", row["anchor"]), zone)
    if row["once_at"] is not None:
        return OnceTiming(_finite("once_at", row["once_at"]), zone)
    if row["solar_event"] not in EVENTS:
        raise RowUnreadable(f"solar_event is {row['solar_event']!r}, none of {', '.join(EVENTS)}")
    return SolarTiming(
        row["solar_event"], _degrees(row, "latitude", 90), _degrees(row, "longitude", 180), zone
    )


def misfire_of(row: Row) -> Misfire:
    return Misfire(member_of(MisfireAction, row, "misfire"), _read(row, "misfire_window_seconds", span_of))


def moment_of(row: Row, column: str) -> dt.datetime | None:
    moment: dt.datetime | None = row[column]
    return None if moment is None else _finite(column, moment)


def member_of(kind: type[Member], row: Row, column: str) -> Member:
    """Returns the member of the enum whose value the column has."""
    try:
        return kind(row[column])
    except ValueError as error:
        raise RowUnreadable(
            f"{column} is {row[column]!r}, none of {', '.join(each.value for each in kind)}"
        ) from error


def _read(row: Row, column: str, read: Callable[[Any], Part]) -> Part:
    try:
        return read(row[column])
    except Unreadable as error:
        raise RowUnreadable(f"{column} {error}") from error


def _finite(column: str, moment: dt.datetime) -> dt.datetime:
    # A moment that Python does not know is the first or the last datetime, without a time zone (moments.py).
    if moment.tzinfo is None:
        raise RowUnreadable(f"{column} is infinite, or not between the years 1 and 9999")
    return moment


def _degrees(row: Row, column: str, most: int) -> float:
    degrees: float = row[column]
    if not -most <= degrees <= most:
        raise RowUnreadable(f"{column} is {degrees}, not between {-most} and {most}")
    return degrees


def run_of(row: Row) -> Run:
    return Run(
        row["schedule_id"],
        row["due_at"],
        RunState(row["state"]),
        row["reason"],
        row["published_at"],
        row["outcome"],
        row["runtime"],
        row["error"],
        row["ended_at"],
        row["task_namespace"],
    )


def values_of(definition: Definition, next_due_at: dt.datetime | None) -> dict[str, Any]:
    """Returns the values of the columns that a person decides, and of the next due time."""
    task, misfire = definition.task, definition.misfire
    next_run_at = next_due_at and definition.plan.sent_at(definition.id, next_due_at)
    return {
        "id": definition.id,
        "task": task.name,
        "args_json": task.args_json,
        "kwargs_json": task.kwargs_json,
        "queue": task.queue,
        "priority": task.priority,
        "expires": task.expires,
        "soft_time_limit": task.soft_time_limit,
        "time_limit": task.time_limit,
        "headers": json.dumps(dict(task.headers)),
        **_timing_values(definition.timing),
        "start_at": definition.bounds.start,
        "end_at": definition.bounds.end,
        "max_runs": definition.bounds.max_runs,
        "jitter_seconds": definition.jitter.total_seconds(),
        "misfire": misfire.action.value,
        "misfire_window_seconds": misfire.window.total_seconds(),
        "overlap": definition.overlap.value,
        "resend_lost": definition.resend_lost,
        "pause_after_failures": definition.pause_after_failures,
        "description": definition.description,
        "labels": json.dumps(dict(definition.labels)),
        "paused": definition.paused,
        "pause_note": definition.pause_note,
        "next_run_at": next_run_at,
        "next_due_at": None if next_run_at == next_due_at else next_due_at,
    }


def _timing_values(timing: Timing) -> dict[str, Any]:
    crontab = timing.crontab.expression if isinstance(timing, CrontabTiming) else None
    interval = timing if isinstance(timing, IntervalTiming) else None
    solar = timing if isinstance(timing, SolarTiming) else None
    return {
        "crontab": crontab,
        "interval_seconds": interval and interval.every.total_seconds(),
        "anchor": interval and interval.anchor,
        "once_at": timing.at if isinstance(timing, OnceTiming) else None,
        "solar_event": solar and solar.event,
        "latitude": solar and solar.latitude,
        "longitude": solar and solar.longitude,
        "time_zone": timing.zone,
    }


# The fields of the contract that can be unreadable, and their columns.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "task": tuple(TASK_COLUMNS.split(", ")),
    "timing": tuple(PLAN_COLUMNS.split(", ")[:8]),
    "labels": ("labels",),
    "start_time": ("start_at",),
    "end_time": ("end_at",),
    "jitter": ("jitter_seconds",),
    "misfire_policy": ("misfire", "misfire_window_seconds"),
}


def schedule_of(row: Row) -> Schedule:
    """Returns the schedule of a row. Never raises `RowUnreadable`: `faults` holds what can't be read."""
    faults: dict[str, str] = {}

    def read(field: str, part: Callable[[Row], Part], otherwise: Callable[[], Part]) -> Part:
        try:
            return part(row)
        except RowUnreadable as error:
            faults[field] = str(error)[:300]
            return otherwise()

    definition = Definition(
        id=row["id"],
        task=read("task", _task, lambda: _without_headers(row)),
        timing=read("timing", timing_of, lambda: NEVER),
        description=row["description"],
        labels=read("labels", _labels, dict[str, str]),
        paused=row["paused"],
        pause_note=row["pause_note"],
        bounds=Bounds(
            read("start_time", lambda row: moment_of(row, "start_at"), lambda: None),
            read("end_time", lambda row: moment_of(row, "end_at"), lambda: None),
            row["max_runs"],
        ),
        jitter=read("jitter", lambda row: _read(row, "jitter_seconds", span_of), lambda: NO_TIME),
        misfire=read("misfire_policy", misfire_of, lambda: ONCE_WITHIN_AN_HOUR),
        overlap=Overlap(row["overlap"]),
        resend_lost=row["resend_lost"],
        pause_after_failures=row["pause_after_failures"],
    )
    return Schedule(
        definition=definition,
        version=row["version"],
        next_due_at=_known(row["next_due_at"]) or _known(row["next_run_at"]),
        last_run_at=_known(row["last_run_at"]),
        created_at=_known(row["created_at"]) or NEVER.at,
        updated_at=_known(row["updated_at"]) or NEVER.at,
        run_count=row["run_count"],
        task_namespace=row["task_namespace"],
        faults=faults,
    )


def kept_columns(faults: Mapping[str, str], named: frozenset[str]) -> frozenset[str]:
    """Returns the columns to keep in an update of the fields `named`: those that can't be read.

    They keep their values, so that somebody can find out what is wrong.
    """
    return frozenset(column for field in faults if field not in named for column in COLUMNS[field])


def check_readable(schedule: Schedule, *fields: str) -> None:
    """Raises `FailedPrecondition` if one of these fields of the schedule can't be read."""
    for field in fields:
        if field in schedule.faults:
            name, why = f"schedules/{schedule.definition.id}", schedule.faults[field]
            repair = f"an update with the mask {field!r} repairs it"
            fault = f"{name!r} was written by other hands, and its {field} can't be read ({why}); {repair}"
            raise FailedPrecondition("SCHEDULE_UNREADABLE", fault)


def _task(row: Row) -> Task:
    """Returns the task, after checking that messages can be made from it."""
    task = task_of(row)
    _template(task)
    return task


def _labels(row: Row) -> dict[str, str]:
    try:
        return texts_of("labels", row["labels"])
    except Unreadable as error:
        raise RowUnreadable(f"{error}") from error


def _without_headers(row: Row) -> Task:
    """Returns the part of an unreadable task that is shown: without expiry, time limits and headers."""
    name, args, kwargs, queue, priority = (row[column] for column in COLUMNS["task"][:5])
    return Task(name, args, kwargs, queue, priority)


def _known(moment: dt.datetime | None) -> dt.datetime | None:
    """Returns the moment; None if it is infinite, or not between the years 1 and 9999."""
    return moment if moment is not None and moment.tzinfo is not None else None
