"""The dearest request that is known of each method that a viewer may call, and the data that make it dear."""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import celeriac.scheduler.v1
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.message import Message
from google.type.latlng_pb2 import LatLng

from services.kernel.identity import Role
from services.kernel.policy import policies_of

SCHEDULES, RUNS, BACKFILLS = 20_000, 100_000, 1_000
FILL = f"""
    INSERT INTO celery_schedules (id, task, args_json, kwargs_json, queue, priority, headers, crontab,
        time_zone, description, labels, paused, pause_note, next_run_at)
    SELECT 's-' || n, 'task-' || n % 100, '[]', '{{}}', 'celery', 0, '{{}}', '0 3 * * *', 'UTC',
        repeat('x', 250), '{{}}', false, '', now() + interval '1 day'
    FROM generate_series(1, {SCHEDULES}) AS n;
    INSERT INTO celery_schedule_batches (published_at) SELECT now() FROM generate_series(1, {RUNS // 1000});
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)
    SELECT 's-' || 1 + n % {SCHEDULES}, now() - n * interval '1 second', 'batched', 'due', 1 + n / 1000
    FROM generate_series(0, {RUNS - 1}) AS n;
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)
    VALUES ('s-7', '2040-06-01T00:00:00Z', 'batched', 'due', 1);
    INSERT INTO celery_schedule_backfills (id, schedule_id, start_at, end_at, newest_first, rate, actor,
        due_at, run_count, state, ended_at)
    SELECT lpad(n::text, 16, '0'), 's-' || n, now(), now(), false, 1, 'mei', '{{}}', 0, 'done', now()
    FROM generate_series(1, {BACKFILLS}) AS n;
    UPDATE celery_schedules SET solar_event = 'sunrise', crontab = NULL, latitude = 60, longitude = 0
    WHERE id = 's-8';
    UPDATE celery_schedule_history SET since = now() - interval '400 days' WHERE schedule_id = 's-8';
    ANALYZE celery_schedules, celery_schedule_facets, celery_schedule_runs, celery_schedule_batches;
"""


def _previewed(caller: int, number: int, _: str) -> Message:
    # So near to the pole, five days of a year have a sunrise. No two calls are about the same place.
    sun = pb.Solar(
        event=pb.SOLAR_EVENT_SUNRISE, place=LatLng(latitude=89.5 + number % 400 / 1000, longitude=caller)
    )
    return pb.PreviewTimesRequest(timing=pb.Timing(solar=sun), count=1000)


def _explained(_caller: int, _number: int, _cursor: str) -> Message:
    # No due time has a run, and the sun of each is computed.
    request = pb.ExplainScheduleRequest(name="schedules/s-8", count=200)
    request.start_time.FromDatetime(dt.datetime.now(dt.UTC) - dt.timedelta(days=365))
    return request


# By full method path: (number of the caller, number of its call, a cursor of before all changes) → request.
WORST: Mapping[str, Callable[[int, int, str], Message]] = {
    f"/celeriac.scheduler.v1.{method}": request
    for method, request in {
        "ScheduleService/GetSchedule": lambda *_: pb.GetScheduleRequest(name="schedules/s-7"),
        # Each row is looked through, and a whole page is found.
        "ScheduleService/ListSchedules": lambda *_: pb.ListSchedulesRequest(
            page_size=1000, text="x", order_by="next_run_time"
        ),
        "ScheduleService/PreviewTimes": _previewed,
        "ScheduleService/GetRun": lambda *_: pb.GetRunRequest(
            name="schedules/s-7/runs/20400601T000000.000000Z"
        ),
        "ScheduleService/ListRuns": lambda *_: pb.ListRunsRequest(page_size=1000),
        "ScheduleService/GetBackfill": lambda *_: pb.GetBackfillRequest(
            name="schedules/s-7/backfills/0000000000000007"
        ),
        "ScheduleService/ExplainSchedule": _explained,
        "ScheduleService/ListBackfills": lambda *_: pb.ListBackfillsRequest(page_size=1000),
        # All changes there were, and each caller by a filter of its own.
        "ScheduleService/WatchSchedules": lambda caller, _, cursor: pb.WatchSchedulesRequest(
            cursor=cursor, text="x" * (caller + 1)
        ),
    }.items()
}


def viewer_methods() -> dict[str, bool]:
    """All methods of the scheduler that a viewer may call, and whether they answer with a stream."""
    return {
        f"/{service.full_name}/{method.name}": method.server_streaming
        for service in _services()
        for method in service.methods
        if policies_of([service.full_name])[f"/{service.full_name}/{method.name}"].least_role is Role.VIEWER
    }


def _services() -> Iterator[Any]:
    for module in pkgutil.iter_modules(celeriac.scheduler.v1.__path__, "celeriac.scheduler.v1."):
        if module.name.endswith("_pb2"):
            yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
