"""Between table rows and schedules."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from services.kernel.errors import FailedPrecondition
from services.scheduler.schedule.celery_message import Letterhead
from services.scheduler.schedule.definition import NEVER, Definition, Overlap, Run, RunState, Schedule, Task
from services.scheduler.timing.crontab import CrontabInvalid, parse_crontab
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

# What a row raises that no API of ours has written.
UNREADABLE = (CrontabInvalid, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
# asyncpg's Record, or a mapping like it: by column name.
Row: TypeAlias = Any

TASK_COLUMNS = "task, args_json, kwargs_json, queue, priority, expires, soft_time_limit, time_limit, headers"
PLAN_COLUMNS = (
    "crontab, interval_seconds, anchor, once_at, solar_event, latitude, longitude, time_zone,"
    " start_at, end_at, max_runs, jitter_seconds, misfire, misfire_window_seconds"
)
# The columns that `values_of` gives, in its order, and their types.
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
    "description": "text",
    "labels": "jsonb",
    "paused": "boolean",
    "pause_note": "text",
    "next_run_at": "timestamptz",
    "next_due_at": "timestamptz",
}


def task_of(row: Row) -> Task:
    headers = row["headers"]
    return Task(
        row["task"],
        row["args_json"],
        row["kwargs_json"],
        row["queue"],
        row["priority"],
        row["expires"],
        row["soft_time_limit"],
        row["time_limit"],
        {} if headers == "{}" else json.loads(headers),
    )


def plan_of(row: Row) -> Plan:
    return Plan(
        timing_of(row),
        Bounds(row["start_at"], row["end_at"], row["max_runs"]),
        dt.timedelta(seconds=row["jitter_seconds"]),
        Misfire(MisfireAction(row["misfire"]), dt.timedelta(seconds=row["misfire_window_seconds"])),
    )


def timing_of(row: Row) -> Timing:
    zone = row["time_zone"]
    if row["crontab"] is not None:
        return CrontabTiming(parse_crontab(row["crontab"]), zone)
    if row["interval_seconds"] is not None:
        return IntervalTiming(dt.timedelta(seconds=row["interval_seconds"]), row["anchor"], zone)
    if row["once_at"] is not None:
        return OnceTiming(row["once_at"], zone)
    if row["solar_event"] not in EVENTS:
        raise ValueError(f"{row['solar_event']!r} is no event of the sun")
    return SolarTiming(row["solar_event"], row["latitude"], row["longitude"], zone)


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
    )


def values_of(definition: Definition, next_due_at: dt.datetime | None) -> dict[str, Any]:
    """The columns that a person decides, and when it is due next."""
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


Part = TypeVar("Part")

# The columns of what can be unreadable, by the field of the contract.
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
    """Never raises: `faults` has what is wrong with the row."""
    faults: dict[str, str] = {}

    def read(field: str, part: Callable[[Row], Part], otherwise: Callable[[], Part]) -> Part:
        try:
            return part(row)
        except UNREADABLE as error:
            faults[field] = str(error)[:300] or repr(error)
            return otherwise()

    definition = Definition(
        id=row["id"],
        task=read("task", _task, lambda: _without_headers(row)),
        timing=read("timing", _timing, lambda: NEVER),
        description=row["description"],
        labels=read("labels", lambda row: _texts(json.loads(row["labels"])), dict[str, str]),
        paused=row["paused"],
        pause_note=row["pause_note"],
        bounds=Bounds(
            read("start_time", lambda row: _finite(row["start_at"]), lambda: None),
            read("end_time", lambda row: _finite(row["end_at"]), lambda: None),
            row["max_runs"],
        ),
        jitter=read("jitter", lambda row: dt.timedelta(seconds=row["jitter_seconds"]), lambda: NO_TIME),
        misfire=read("misfire_policy", _misfire, lambda: ONCE_WITHIN_AN_HOUR),
        overlap=Overlap(row["overlap"]),
        resend_lost=row["resend_lost"],
    )
    return Schedule(
        definition=definition,
        version=row["version"],
        next_due_at=_known(row["next_due_at"]) or _known(row["next_run_at"]),
        last_run_at=_known(row["last_run_at"]),
        created_at=_known(row["created_at"]) or NEVER.at,
        updated_at=_known(row["updated_at"]) or NEVER.at,
        run_count=row["run_count"],
        faults=faults,
    )


def kept_columns(faults: Mapping[str, str], named: frozenset[str]) -> frozenset[str]:
    """The columns that can't be read and are not being changed: they stay as they are, to be looked at."""
    return frozenset(column for field in faults if field not in named for column in COLUMNS[field])


def check_readable(schedule: Schedule, *fields: str) -> None:
    """Refuses what needs these fields, where they can't be read."""
    for field in fields:
        if field in schedule.faults:
            name, why = f"schedules/{schedule.definition.id}", schedule.faults[field]
            fault = f"{name!r} was written by other hands, and its {field} can't be read ({why}); update it"
            raise FailedPrecondition("SCHEDULE_UNREADABLE", fault)


def _task(row: Row) -> Task:
    task = task_of(row)
    for limit in (task.expires, task.soft_time_limit, task.time_limit):
        if limit is not None and not math.isfinite(limit):
            raise ValueError(f"{limit} is no number of seconds")
    task = task._replace(headers=_texts(task.headers))
    # Arguments that are no JSON are found here too.
    Letterhead(task)
    return task


def _without_headers(row: Row) -> Task:
    """What of a task is shown that can't be read whole."""
    name, args, kwargs, queue, priority = (row[column] for column in COLUMNS["task"][:5])
    return Task(name, args, kwargs, queue, priority)


def _finite(moment: dt.datetime | None) -> dt.datetime | None:
    # What PostgreSQL calls infinity is to asyncpg the first or last moment of all, without a zone.
    if moment is not None and moment.tzinfo is None:
        raise ValueError("it is infinite")
    return moment


def _known(moment: dt.datetime | None) -> dt.datetime | None:
    """None for what is infinite."""
    return moment if moment is not None and moment.tzinfo is not None else None


def _timing(row: Row) -> Timing:
    for column in ("anchor", "once_at"):
        _finite(row[column])
    timing = timing_of(row)
    ZoneInfo(timing.zone)
    return timing


def _misfire(row: Row) -> Misfire:
    return Misfire(MisfireAction(row["misfire"]), dt.timedelta(seconds=row["misfire_window_seconds"]))


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("is not a JSON object of texts")
    return dict(value)
