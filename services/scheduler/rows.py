"""Between table rows and schedules."""

from __future__ import annotations

import datetime as dt
import json
from functools import lru_cache
from typing import Any, TypeAlias

from services.scheduler.crontab import parse_crontab
from services.scheduler.schedules import Definition, Run, RunState, Schedule, Task
from services.scheduler.timing import CrontabTiming, IntervalTiming, Timing

# SQLAlchemy's RowMapping or asyncpg's Record: by column name.
Row: TypeAlias = Any

TASK_COLUMNS = "task, args_json, kwargs_json, queue, priority, expires, soft_time_limit, time_limit, headers"
TIMING_COLUMNS = "crontab, interval_seconds, anchor, time_zone"


def task_of(row: Row) -> Task:
    headers = row["headers"]
    if isinstance(headers, str):
        headers = {} if headers == "{}" else json.loads(headers)
    return Task(
        row["task"],
        row["args_json"],
        row["kwargs_json"],
        row["queue"],
        row["priority"],
        row["expires"],
        row["soft_time_limit"],
        row["time_limit"],
        headers,
    )


def timing_of(row: Row) -> Timing:
    if row["crontab"] is not None:
        return crontab_timing(row["crontab"], row["time_zone"])
    return IntervalTiming(dt.timedelta(seconds=row["interval_seconds"]), row["anchor"], row["time_zone"])


@lru_cache(maxsize=10_000)
def crontab_timing(expression: str, zone: str) -> CrontabTiming:
    return CrontabTiming(parse_crontab(expression), zone)


def schedule_of(row: Row) -> Schedule:
    return Schedule(
        definition=Definition(
            id=row["id"],
            task=task_of(row),
            timing=timing_of(row),
            description=row["description"],
            labels=row["labels"],
            paused=row["paused"],
            pause_note=row["pause_note"],
        ),
        version=row["version"],
        next_run_at=row["next_run_at"],
        last_run_at=row["last_run_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def run_of(row: Row) -> Run:
    return Run(row["schedule_id"], row["due_at"], RunState(row["state"]), row["reason"], row["published_at"])


def values_of(definition: Definition) -> dict[str, Any]:
    """The columns that a person decides."""
    task, timing = definition.task, definition.timing
    interval = timing if isinstance(timing, IntervalTiming) else None
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
        "crontab": None if isinstance(timing, IntervalTiming) else timing.crontab.expression,
        "interval_seconds": int(interval.every.total_seconds()) if interval else None,
        "anchor": interval.anchor if interval else None,
        "time_zone": timing.zone,
        "description": definition.description,
        "labels": json.dumps(dict(definition.labels)),
        "paused": definition.paused,
        "pause_note": definition.pause_note,
    }
