"""Converts backfills to and from the contract's messages."""

from __future__ import annotations

import datetime as dt
import math
import re

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import once_in, timestamp, window_in
from services.kernel.once import Once
from services.kernel.validation import Faults
from services.scheduler.backfill.backfill import MOST_RUNS, Backfill, BackfillState, Window
from services.scheduler.schedule import checks

STATES = wire_values(pb.BackfillState, BackfillState)
ORDERS = (
    pb.BACKFILL_ORDER_UNSPECIFIED,
    pb.BACKFILL_ORDER_OLDEST_FIRST,
    pb.BACKFILL_ORDER_NEWEST_FIRST,
)
USUAL_RUNS = 1_000
SLOWEST, FASTEST = 0.01, 100.0
LONGEST_AGO = dt.timedelta(days=3660)
NAME = re.compile(r"(schedules/[^/]*)/backfills/([0-9a-f]{16})")


def window_from(request: pb.BackfillScheduleRequest, now: dt.datetime) -> tuple[Window, Once | None]:
    faults = Faults()
    schedule_id = checks.schedule_id(request.name, faults)
    start, end = window_in(request, faults)
    for field in ("start_time", "end_time"):
        faults.unless(request.HasField(field), field, "must be set", "2026-11-24T00:00:00Z")
    recent = start is None or start >= now - LONGEST_AGO
    faults.unless(recent, "start_time", "is more than ten years ago", "2026-11-24T00:00:00Z")
    past = end is None or end <= now
    faults.unless(past, "end_time", "has not passed yet", f"{now:%Y-%m-%dT%H:%M:%SZ}")
    most = request.max_runs or USUAL_RUNS
    fault = f"is {request.max_runs}, it must be 1 to {MOST_RUNS}"
    faults.unless(1 <= most <= MOST_RUNS, "max_runs", fault, "500")
    rate = request.rate or 1.0
    sound = math.isfinite(rate) and SLOWEST <= rate <= FASTEST
    faults.unless(
        sound, "rate", f"is {request.rate:g}, it must be {SLOWEST:g} to {FASTEST:g} runs a second", "2"
    )
    known = request.order in ORDERS
    faults.unless(known, "order", f"is {request.order}, not a BackfillOrder", "BACKFILL_ORDER_NEWEST_FIRST")
    once = once_in(request, faults, f"BackfillSchedule of {request.name}")
    faults.raise_any()
    assert start is not None and end is not None
    newest_first = request.order == pb.BACKFILL_ORDER_NEWEST_FIRST
    return Window(schedule_id, start, end, most, rate, newest_first), once


def ids_in(name: str) -> tuple[str, str]:
    """Returns the ids in "schedules/{id}/backfills/{backfill}". Raises `Invalid`."""
    faults = Faults()
    found = NAME.fullmatch(name)
    example = "schedules/cleanup-cache-daily/backfills/9f86d081884c7d65"
    fault = f"is {name[:300]!r}, not the name of a backfill"
    if not faults.unless(found is not None, "name", fault, example) or found is None:
        faults.raise_any()
        raise AssertionError
    schedule_id = checks.schedule_id(found[1], faults)
    faults.raise_any()
    return schedule_id, found[2]


def backfill_to(backfill: Backfill) -> pb.Backfill:
    newest_first = backfill.newest_first
    schedule = f"schedules/{backfill.schedule_id}"
    return pb.Backfill(
        name=f"{schedule}/backfills/{backfill.id}" if backfill.id else "",
        state=STATES[backfill.state] if backfill.state else None,
        start_time=timestamp(backfill.start),
        end_time=timestamp(backfill.end),
        order=pb.BACKFILL_ORDER_NEWEST_FIRST if newest_first else pb.BACKFILL_ORDER_OLDEST_FIRST,
        rate=backfill.rate,
        run_count=backfill.run_count,
        sent_count=backfill.sent,
        passed_count=backfill.handled - backfill.sent,
        first_due_time=timestamp(backfill.first),
        last_due_time=timestamp(backfill.last),
        actor=backfill.actor,
        note=backfill.note,
        create_time=timestamp(backfill.created_at),
        finish_time=timestamp(backfill.ended_at),
        operation=f"operations/{backfill.operation_id}" if backfill.operation_id else "",
    )
