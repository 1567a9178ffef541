"""How fast an edit is in force: schedules are changed by UpdateSchedule so that they are due very soon."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask

from benchmarks.scheduler import rows, sql
from benchmarks.scheduler.ours import Scheduler
from benchmarks.servers import ServiceProcess

MOST_SECONDS = 30.0
# Every second edit makes its schedule due as good as at once: a due time that is past when the edit is stored
# never comes.
AT_ONCE_SECONDS = 0.02
# The others' new due time lies between these.
AHEAD_SECONDS = (0.1, 0.5)


class Edit(NamedTuple):
    """Seconds."""

    # From the new due time to the message on the queue and recorded as published.
    late: float
    # The same from when UpdateSchedule was called, for those that are to be due at once.
    from_call: float | None


Update = Callable[[pb.UpdateScheduleRequest], pb.UpdateScheduleResponse]


async def edits(scheduler: Scheduler, process: ServiceProcess, count: int) -> list[Edit]:
    """Edits one schedule after the other, of those that are there and not due."""
    with process.channel() as channel:
        call = schedules_pb2_grpc.ScheduleServiceStub(channel).UpdateSchedule
        credentials = grpc.access_token_call_credentials(scheduler.tokens.mint("admin"))

        def update(request: pb.UpdateScheduleRequest) -> pb.UpdateScheduleResponse:
            return call(request, credentials=credentials, timeout=MOST_SECONDS)

        async with scheduler.database() as database, scheduler.broker() as broker:
            # The first edit makes the connection.
            made = [await _edit(database, update, f"s-{n}", n % 2 == 0) for n in range(count + 1)][1:]
            if (sent := await broker.llen(rows.QUEUE)) != count + 1:
                raise AssertionError(f"{sent} messages for {count + 1} edits")
            return made


async def _edit(database: Any, update: Update, schedule: str, at_once: bool) -> Edit:
    # Not in step with anything.
    await asyncio.sleep(random.uniform(0.05, 0.15))
    ahead = AT_ONCE_SECONDS if at_once else random.uniform(*AHEAD_SECONDS)
    while True:
        called = dt.datetime.now(dt.UTC)
        due = called + dt.timedelta(seconds=ahead)
        stored = await asyncio.to_thread(update, _request(schedule, due))
        if stored.schedule.HasField("next_run_time"):
            break
        ahead *= 2
    published = await _published(database, schedule, due)
    from_call = (published - called).total_seconds() if at_once else None
    return Edit((published - due).total_seconds(), from_call)


def _request(schedule: str, due: dt.datetime) -> pb.UpdateScheduleRequest:
    once = pb.Once()
    once.at.FromDatetime(due)
    wanted = pb.Schedule(name=f"schedules/{schedule}", timing=pb.Timing(once=once))
    return pb.UpdateScheduleRequest(schedule=wanted, update_mask=FieldMask(paths=["timing"]))


async def _published(database: Any, schedule: str, due: dt.datetime) -> dt.datetime:
    deadline = asyncio.get_running_loop().time() + MOST_SECONDS
    while True:
        published: dt.datetime | None = await database.fetchval(sql.PUBLISHED_AT, schedule, due)
        if published is not None:
            return published
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{schedule} was not published within {MOST_SECONDS:.0f} s of its edit")
        await asyncio.sleep(0.01)
