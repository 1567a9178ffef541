"""Between the contract's messages and schedules."""

from __future__ import annotations

import dataclasses
import datetime as dt

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from services.kernel.grpc.wire import duration, timestamp
from services.kernel.validation import Faults
from services.scheduler import checks
from services.scheduler.schedules import Definition, Run, RunState, Schedule, Task
from services.scheduler.timing import CrontabTiming, IntervalTiming, Timing

STATES = {
    RunState.PENDING: pb.RUN_STATE_PENDING,
    RunState.PUBLISHED: pb.RUN_STATE_PUBLISHED,
    RunState.SKIPPED: pb.RUN_STATE_SKIPPED,
}
STATES_FROM_WIRE = {number: state for state, number in STATES.items()}
LONGEST_INTERVAL = 366 * 86400


def definition_from(message: pb.Schedule, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    """The definition in a message; None, with the faults collected, when it is not sound."""
    found = checks.schedule_id(message.name, faults, "schedule.name")
    task = task_from(message.task, faults)
    timing = timing_from(message.timing, zone, now, faults, "schedule.timing")
    faults.text("schedule.description", message.description, "why it is here", most=4000, required=False)
    faults.text(
        "schedule.pause_note", message.pause_note, "until the move is over", most=1000, required=False
    )
    checks.strings(message.labels, faults, "schedule.labels", most=64, example="team=growth")
    if faults or timing is None:
        return None
    return Definition(
        id=found,
        task=task,
        timing=timing,
        description=message.description,
        labels=dict(message.labels),
        paused=message.paused,
        pause_note=message.pause_note if message.paused else "",
    )


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


def timing_from(
    message: pb.Timing, default_zone: str, now: dt.datetime, faults: Faults, field: str
) -> Timing | None:
    zone = checks.zone(message.time_zone, default_zone, faults, f"{field}.time_zone")
    match message.WhichOneof("kind"):
        case "crontab":
            crontab = checks.crontab(message.crontab.expression, faults, f"{field}.crontab.expression")
            return CrontabTiming(crontab, zone) if crontab else None
        case "interval":
            every = message.interval.every
            whole = 1 <= every.seconds <= LONGEST_INTERVAL and every.nanos == 0
            fault = "must be whole seconds, from 1 to 366 days"
            if not faults.unless(whole, f"{field}.interval.every", fault, "30s"):
                return None
            return IntervalTiming(dt.timedelta(seconds=every.seconds), now, zone)
        case _:
            faults.add(field, "has neither crontab nor interval", '{"crontab": {"expression": "0 3 * * *"}}')
            return None


def _seconds(message: Message, field: str) -> float | None:
    if not message.HasField(field):
        return None
    found: Duration = getattr(message, field)
    return found.seconds + found.nanos / 1e9


def changed(
    current: Definition, wanted: pb.Schedule, paths: list[str], zone: str, now: dt.datetime, faults: Faults
) -> Definition:
    """The definition with the fields of the mask taken from the message."""
    result = current
    for path in paths:
        match path:
            case "task":
                result = dataclasses.replace(result, task=task_from(wanted.task, faults))
            case "timing":
                timing = timing_from(wanted.timing, zone, now, faults, "schedule.timing")
                result = dataclasses.replace(result, timing=timing or current.timing)
            case "description":
                _description(wanted, faults)
                result = dataclasses.replace(result, description=wanted.description)
            case "labels":
                checks.strings(wanted.labels, faults, "schedule.labels", most=64, example="team=growth")
                result = dataclasses.replace(result, labels=dict(wanted.labels))
            case _:
                known = "task, timing, description, labels"
                faults.add("update_mask", f"names {path[:100]!r}, not one of {known}", "task,timing")
    return result


def _description(message: pb.Schedule, faults: Faults) -> None:
    example = "new questions become vectors"
    faults.text("schedule.description", message.description, example, most=4000, required=False)


def schedule_to(schedule: Schedule) -> pb.Schedule:
    definition = schedule.definition
    return pb.Schedule(
        name=f"schedules/{definition.id}",
        task=_task_to(definition.task),
        timing=_timing_to(definition.timing),
        paused=definition.paused,
        pause_note=definition.pause_note,
        description=definition.description,
        labels=definition.labels,
        next_run_time=timestamp(schedule.next_run_at),
        last_run_time=timestamp(schedule.last_run_at),
        create_time=timestamp(schedule.created_at),
        update_time=timestamp(schedule.updated_at),
        etag=schedule.etag,
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


def _timing_to(timing: Timing) -> pb.Timing:
    if isinstance(timing, CrontabTiming):
        return pb.Timing(crontab=pb.Crontab(expression=timing.crontab.expression), time_zone=timing.zone)
    every = duration(timing.every.total_seconds())
    return pb.Timing(interval=pb.Interval(every=every), time_zone=timing.zone)


def run_to(run: Run) -> pb.Run:
    return pb.Run(
        schedule=f"schedules/{run.schedule_id}",
        due_time=timestamp(run.due_at),
        state=STATES[run.state],
        reason=run.reason,
        task_id="" if run.state is RunState.SKIPPED else run.task_id,
        publish_time=timestamp(run.published_at),
    )
