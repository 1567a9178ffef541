"""Converts the requests and events of WatchSchedules."""

from __future__ import annotations

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.validation import Faults
from services.scheduler.api.convert import run_to, schedule_to
from services.scheduler.api.convert_backfill import backfill_to
from services.scheduler.api.convert_filter import schedules_in
from services.scheduler.schedule import checks
from services.scheduler.watch.changes import (
    BackfillEvent,
    Event,
    Kind,
    LeftOut,
    RunEvents,
    ScheduleEvent,
    Wanted,
)
from services.scheduler.watch.cursor import Cursor

MOST_NAMES = 100
# The kinds of schedule events. Changes of runs and backfills have messages of their own.
KINDS = wire_values(pb.ScheduleEventKind, (Kind.CREATED, Kind.UPDATED, Kind.DELETED, Kind.LEFT_FILTER))


def wanted_in(request: pb.WatchSchedulesRequest) -> Wanted:
    """Returns which changes the reader wants. Raises `Invalid`."""
    faults = Faults()
    few = len(request.names) <= MOST_NAMES
    fault = f"has {len(request.names)} names, at most {MOST_NAMES} are allowed"
    names: list[str] = []
    if faults.unless(few, "names", fault, '["schedules/cleanup-cache-daily"]'):
        names = [
            checks.schedule_id(name, faults, f"names[{position}]")
            for position, name in enumerate(request.names)
        ]
    matching = schedules_in(request, faults)
    nothing = request.without_schedules and request.without_runs and request.without_backfills
    fault = "is set, and so are without_schedules and without_runs: nothing is left to tell"
    faults.unless(not nothing, "without_backfills", fault, "false")
    faults.raise_any()
    return Wanted(
        frozenset(names),
        schedules=not request.without_schedules,
        runs=not request.without_runs,
        backfills=not request.without_backfills,
        matching=matching,
    )


def watch_response_to(event: Event | LeftOut | None, cursor: Cursor) -> pb.WatchSchedulesResponse:
    message = pb.WatchSchedulesResponse(cursor=cursor.encode())
    match event:
        case ScheduleEvent():
            message.schedule.kind = KINDS[event.kind]
            message.schedule.name = f"schedules/{event.id}"
            if event.schedule is not None:
                message.schedule.schedule.CopyFrom(schedule_to(event.schedule))
        case RunEvents():
            message.runs.runs.extend(map(run_to, event.runs))
        case BackfillEvent():
            message.backfill.CopyFrom(backfill_to(event.backfill))
        case LeftOut():
            message.left_out_count = event.count
    return message
