"""Between table rows and schedules."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from services.scheduler.crontab import parse_crontab
from services.scheduler.plan import (
    Bounds,
    Misfire,
    MisfireAction,
    Plan,
)
from services.scheduler.schedules import Definition, Run, RunState, Task
from services.scheduler.solar import EVENTS
from services.scheduler.timing import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming, Timing

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
