"""Between the contract's messages and schedules."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from celeriac.monitor.v1 import tasks_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.kernel.validation import Faults
from services.scheduler.api.convert_timing import (
    bounds_from,
    changed_timing,
    jitter_from,
    misfire_from,
    misfire_to,
    timing_from,
    timing_to,
)
from services.scheduler.schedule import checks
from services.scheduler.schedule.definition import Definition, Overlap, Run, RunState, Schedule, Task

STATES = wire_values(pb.RunState, RunState)
STATES_FROM_WIRE = from_wire(STATES)
OVERLAPS = wire_values(pb.OverlapPolicy, Overlap)
OVERLAPS_FROM_WIRE = from_wire(OVERLAPS)
# The states in which a task has ended, as rows have them.
OUTCOMES = wire_values(tasks_pb2.TaskState, ("SUCCESS", "FAILURE", "REVOKED", "REJECTED"))
OUTCOMES_FROM_WIRE = from_wire(OUTCOMES)
PREVIEWED = Task("previewed")
# What a change may name, in the order in which it is made: an interval's anchor looks at the bounds.
CHANGEABLE = (
    "task",
    "description",
    "labels",
    "start_time",
    "end_time",
    "max_runs",
    "jitter",
    "misfire_policy",
    "overlap_policy",
    "resend_lost",
    "timing",
)


def definition_from(message: pb.Schedule, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    """The definition in a message; None, with the faults collected, when it is not sound."""
    found = checks.schedule_id(message.name, faults, "schedule.name")
    task = task_from(message.task, faults)
    proposed = _planned(message, found, task, zone, now, faults)
    overlap = _overlap_from(message, faults)
    _description(message, faults)
    faults.text(
        "schedule.pause_note", message.pause_note, "until the move is over", most=1000, required=False
    )
    checks.labels(message.labels, faults, "schedule.labels")
    if faults or proposed is None:
        return None
    return dataclasses.replace(
        proposed,
        description=message.description,
        labels=dict(message.labels),
        paused=message.paused,
        pause_note=message.pause_note if message.paused else "",
        overlap=overlap,
        resend_lost=message.resend_lost,
    )


def proposed_from(message: pb.Schedule, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    """A definition that is only previewed: it needs a timing, and may have what else decides on times."""
    found = checks.schedule_id(message.name, faults, "schedule.name") if message.name else ""
    return _planned(message, found, PREVIEWED, zone, now, faults)


def proposed_timing(message: pb.Timing, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    timing = timing_from(message, zone, None, now, faults, "timing")
    return Definition("", PREVIEWED, timing) if timing else None


def _planned(
    message: pb.Schedule, schedule_id: str, task: Task, zone: str, now: dt.datetime, faults: Faults
) -> Definition | None:
    bounds = bounds_from(message, faults, "schedule")
    timing = timing_from(message.timing, zone, bounds.start, now, faults, "schedule.timing")
    jitter = jitter_from(message, faults, "schedule")
    misfire = misfire_from(message.misfire_policy, faults, "schedule.misfire_policy")
    checks.bounds(bounds, faults, "schedule")
    checks.jitter(jitter, task.expires, faults, "schedule")
    if timing is None:
        return None
    return Definition(schedule_id, task, timing, bounds=bounds, jitter=jitter, misfire=misfire)


def new_from(message: pb.Schedule, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    """The definition of a schedule that is to be created: it must come due some day."""
    definition = definition_from(message, zone, now, faults)
    if definition is not None:
        checks.comes_due(definition, now, faults, "schedule")
    return definition


def task_from(message: pb.Task, faults: Faults) -> Task:
    task = Task(
        name=message.name,
        args_json=message.args_json or "[]",
        kwargs_json=message.kwargs_json or "{}",
        queue=message.queue or "celery",
        priority=message.priority,
        expires=_seconds(message, "expires"),
        soft_time_limit=_seconds(message, "soft_time_limit"),
        time_limit=_seconds(message, "time_limit"),
        headers=dict(message.headers),
    )
    checks.task(task, faults, "schedule.task")
    return task


def _seconds(message: Message, field: str) -> float | None:
    if not message.HasField(field):
        return None
    found: Duration = getattr(message, field)
    return found.seconds + found.nanos / 1e9


def changed(
    current: Definition, wanted: pb.Schedule, paths: list[str], zone: str, now: dt.datetime, faults: Faults
) -> Definition:
    """The definition with the fields of the mask taken from the message."""
    for path in paths:
        known = ", ".join(CHANGEABLE)
        faults.unless(
            path in CHANGEABLE, "update_mask", f"names {path[:100]!r}, not one of {known}", "task,timing"
        )
    result = current
    for path in CHANGEABLE:
        if path in paths:
            result = _with(result, path, wanted, zone, now, faults)
    checks.bounds(result.bounds, faults, "schedule")
    checks.jitter(result.jitter, result.task.expires, faults, "schedule")
    return result


def _with(
    current: Definition, path: str, wanted: pb.Schedule, zone: str, now: dt.datetime, faults: Faults
) -> Definition:
    changes: dict[str, Any] = {}
    match path:
        case "task":
            changes["task"] = task_from(wanted.task, faults)
        case "timing":
            start = current.bounds.start
            timing = changed_timing(current.timing, wanted.timing, zone, start, now, faults)
            changes["timing"] = timing
        case "description":
            _description(wanted, faults)
            changes["description"] = wanted.description
        case "labels":
            checks.labels(wanted.labels, faults, "schedule.labels")
            changes["labels"] = dict(wanted.labels)
        case "start_time" | "end_time" | "max_runs":
            bound = {"start_time": "start", "end_time": "end", "max_runs": "max_runs"}[path]
            found = bounds_from(wanted, faults, "schedule", only=path)
            changes["bounds"] = current.bounds._replace(**{bound: getattr(found, bound)})
        case "jitter":
            changes["jitter"] = jitter_from(wanted, faults, "schedule")
        case "misfire_policy":
            changes["misfire"] = misfire_from(wanted.misfire_policy, faults, "schedule.misfire_policy")
        case "overlap_policy":
            changes["overlap"] = _overlap_from(wanted, faults)
        case "resend_lost":
            changes["resend_lost"] = wanted.resend_lost
    return dataclasses.replace(current, **changes)


def _overlap_from(message: pb.Schedule, faults: Faults) -> Overlap:
    if not message.overlap_policy:
        return Overlap.ALLOW
    found = OVERLAPS_FROM_WIRE.get(message.overlap_policy)
    fault = f"is {message.overlap_policy}, not an OverlapPolicy"
    faults.unless(found is not None, "schedule.overlap_policy", fault, "OVERLAP_POLICY_SKIP")
    return found or Overlap.ALLOW


def _description(message: pb.Schedule, faults: Faults) -> None:
    example = "new questions become vectors"
    faults.text("schedule.description", message.description, example, most=4000, required=False)


def schedule_to(schedule: Schedule) -> pb.Schedule:
    definition = schedule.definition
    return pb.Schedule(
        name=f"schedules/{definition.id}",
        task=_task_to(definition.task),
        timing=None if "timing" in schedule.faults else timing_to(definition.timing),
        paused=definition.paused,
        pause_note=definition.pause_note,
        description=definition.description,
        labels=definition.labels,
        next_run_time=timestamp(schedule.next_due_at),
        last_run_time=timestamp(schedule.last_run_at),
        create_time=timestamp(schedule.created_at),
        update_time=timestamp(schedule.updated_at),
        etag=schedule.etag,
        start_time=timestamp(definition.bounds.start),
        end_time=timestamp(definition.bounds.end),
        max_runs=definition.bounds.max_runs or 0,
        jitter=duration(definition.jitter.total_seconds() or None),
        misfire_policy=misfire_to(definition.misfire),
        run_count=schedule.run_count,
        overlap_policy=OVERLAPS[definition.overlap],
        resend_lost=definition.resend_lost,
        fault=schedule.fault,
    )


def _task_to(task: Task) -> pb.Task:
    return pb.Task(
        name=task.name,
        args_json=task.args_json,
        kwargs_json=task.kwargs_json,
        queue=task.queue,
        priority=task.priority,
        expires=duration(task.expires),
        soft_time_limit=duration(task.soft_time_limit),
        time_limit=duration(task.time_limit),
        headers=task.headers,
    )


def run_to(run: Run) -> pb.Run:
    return pb.Run(
        schedule=f"schedules/{run.schedule_id}",
        due_time=timestamp(run.due_at),
        state=STATES[run.state],
        reason=run.reason,
        task_id="" if run.state is RunState.SKIPPED else run.task_id,
        publish_time=timestamp(run.published_at),
        outcome=OUTCOMES.get(run.outcome or ""),
        runtime=duration(run.runtime),
        error=run.error or "",
        end_time=timestamp(run.ended_at),
    )
