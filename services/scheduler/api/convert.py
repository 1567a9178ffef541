"""Converts schedules to and from the contract's messages. The values are checked by schedule/reading.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.type.latlng_pb2 import LatLng

from services.kernel.durations import MILLISECOND, span_in
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import duration, moment_in, timestamp
from services.kernel.validation import Faults
from services.scheduler.catalogue.preview import Preview
from services.scheduler.catalogue.store_run_tasks import RunTask
from services.scheduler.schedule import checks, reading
from services.scheduler.schedule.definition import NEVER, Definition, Overlap, Run, RunState, Schedule, Task
from services.scheduler.schedule.names import run_name
from services.scheduler.schedule.reading import PLANNED, Draft, Source
from services.scheduler.timing.due_times import (
    ClockEffect,
    CrontabTiming,
    IntervalTiming,
    OnceTiming,
    SolarTiming,
    Timing,
)
from services.scheduler.timing.plan import Misfire, MisfireAction
from services.scheduler.timing.solar import EVENTS

Member = TypeVar("Member")
PLACE_EXAMPLE = '{"latitude": 25.03, "longitude": 121.56}'

STATES = wire_values(pb.RunState, RunState)
STATES_FROM_WIRE = from_wire(STATES)
OVERLAPS = wire_values(pb.OverlapPolicy, Overlap)
OVERLAPS_FROM_WIRE = from_wire(OVERLAPS)
SOLAR = wire_values(pb.SolarEvent, EVENTS)
SOLAR_FROM_WIRE = from_wire(SOLAR)
EFFECTS = wire_values(pb.ClockEffect, ClockEffect)
ACTIONS = wire_values(pb.MisfireAction, MisfireAction)
ACTIONS_FROM_WIRE = from_wire(ACTIONS)
# The outcomes, by the names of Celery's states, as the database has them.
OUTCOMES = {
    "SUCCESS": pb.RUN_OUTCOME_SUCCEEDED,
    "FAILURE": pb.RUN_OUTCOME_FAILED,
    "REVOKED": pb.RUN_OUTCOME_REVOKED,
    "REJECTED": pb.RUN_OUTCOME_REJECTED,
    "ENDED": pb.RUN_OUTCOME_ENDED,
    "ORPHANED": pb.RUN_OUTCOME_ORPHANED,
}
OUTCOMES_FROM_WIRE = from_wire(OUTCOMES)


def new_from(message: pb.Schedule, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    """Returns the definition of a schedule to create. A schedule that never becomes due is a fault.

    Returns None, with the faults collected, when the message is not sound.
    """
    source = Source("schedule", zone, now, faults)
    found = checks.schedule_id(message.name, faults, "schedule.name")
    definition = reading.definition_from(_draft(message, found, source), source)
    if definition is not None:
        checks.comes_due(definition, now, faults, "schedule")
    return definition


def proposed_from(
    message: pb.Schedule, zone: str, now: dt.datetime, faults: Faults, place: str = "schedule"
) -> Definition | None:
    """Returns a definition to preview. It needs only a timing; of other fields, those in PLANNED are read.

    Returns None, with the faults collected, when the message is not sound.
    """
    found = checks.schedule_id(message.name, faults, "schedule.name") if message.name else ""
    blank = Definition(found, Task("previewed"), NEVER)
    proposed = _changed(blank, message, PLANNED, Source(place, zone, now, faults))
    return None if faults else proposed


def proposed_timing(message: pb.Timing, zone: str, now: dt.datetime, faults: Faults) -> Definition | None:
    return proposed_from(pb.Schedule(timing=message), zone, now, faults, place="")


def changed(
    current: Definition,
    wanted: pb.Schedule,
    fields: Collection[str],
    zone: str,
    now: dt.datetime,
    faults: Faults,
) -> Definition:
    """Returns the current definition with the named fields, those in CHANGEABLE, taken from the message."""
    return _changed(current, wanted, fields, Source("schedule", zone, now, faults))


def _changed(
    current: Definition, message: pb.Schedule, fields: Collection[str], source: Source
) -> Definition:
    # Fields that are not named are not read or checked.
    named = pb.Schedule()
    FieldMask(paths=fields).MergeMessage(message, named)
    return reading.changed(current, _draft(named, current.id, source), fields, source)


def _draft(message: pb.Schedule, schedule_id: str, source: Source) -> Draft:
    timing, misfire = message.timing, message.misfire_policy
    kind = timing.WhichOneof("kind")
    place = _place_from(timing, source)

    def moment(owner: Message, name: str, field: str) -> dt.datetime | None:
        return moment_in(owner, name, source.faults, source.at(field))

    def seconds(owner: Message, name: str, field: str) -> Decimal | None:
        found = span_in(owner, name, source.faults, source.at(field), example="30s")
        return None if found is None else Decimal(found // MILLISECOND) / 1000

    def member(
        value: int, known: Mapping[int, Member], field: str, example: str, *, required: bool = False
    ) -> Member | None:
        """Returns the value that an enum's number stands for; None when it is not set or unknown."""
        fault = f"is {value}, which stands for nothing" if value else "is not set"
        sound = value in known or not (value or required)
        source.faults.unless(sound, source.at(field), fault, example)
        return known.get(value)

    return Draft(
        id=schedule_id,
        task=_task_from(message.task, source, seconds),
        kind=kind,
        zone=timing.time_zone,
        crontab=timing.crontab.expression,
        every=seconds(timing.interval, "every", "timing.interval.every"),
        anchor=moment(timing.interval, "anchor", "timing.interval.anchor"),
        once=moment(timing.once, "at", "timing.once.at"),
        event=member(
            timing.solar.event,
            SOLAR_FROM_WIRE,
            "timing.solar.event",
            "SOLAR_EVENT_SUNRISE",
            required=kind == "solar",
        ),
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        start=moment(message, "start_time", "start_time"),
        end=moment(message, "end_time", "end_time"),
        max_runs=message.max_runs or None,
        jitter=seconds(message, "jitter", "jitter"),
        misfire=member(misfire.action, ACTIONS_FROM_WIRE, "misfire_policy.action", "MISFIRE_ACTION_RUN_EACH"),
        misfire_window=seconds(misfire, "window", "misfire_policy.window"),
        overlap=member(message.overlap_policy, OVERLAPS_FROM_WIRE, "overlap_policy", "OVERLAP_POLICY_SKIP"),
        resend_lost=message.resend_lost,
        pause_after_failures=message.pause_after_failures or None,
        description=message.description,
        labels=message.labels,
        paused=message.paused,
        pause_note=message.pause_note,
    )


def _place_from(timing: pb.Timing, source: Source) -> LatLng | None:
    """Returns the place of a solar timing; None when it is not set, or the timing is another."""
    if timing.solar.HasField("place"):
        return timing.solar.place
    if timing.HasField("solar"):
        source.faults.add(source.at("timing.solar.place"), "is not set", PLACE_EXAMPLE)
    return None


def _task_from(
    message: pb.TaskSpec, source: Source, seconds_in: Callable[[Message, str, str], Decimal | None]
) -> Task:
    def seconds(name: str) -> float | None:
        found = seconds_in(message, name, f"task.{name}")
        return None if found is None else float(found)

    return Task(
        name=message.task_name,
        args_json=message.args_json or "[]",
        kwargs_json=message.kwargs_json or "{}",
        queue=_queue_from(message, source),
        priority=message.priority,
        expires=seconds("expires"),
        soft_time_limit=seconds("soft_time_limit"),
        time_limit=seconds("time_limit"),
        headers=dict(message.headers),
    )


def _queue_from(message: pb.TaskSpec, source: Source) -> str:
    if not message.queue:
        return "celery"
    return checks.queue(message.queue, source.faults, source.at("task.queue"))


def schedule_to(schedule: Schedule) -> pb.Schedule:
    values = _values_of(schedule.definition)
    if "timing" in schedule.faults:
        del values["timing"]
    return pb.Schedule(
        **values,
        next_run_time=timestamp(schedule.next_due_at),
        last_run_time=timestamp(schedule.last_run_at),
        create_time=timestamp(schedule.created_at),
        update_time=timestamp(schedule.updated_at),
        etag=schedule.etag,
        run_count=schedule.run_count,
        fault=schedule.fault,
    )


def definition_to(definition: Definition) -> pb.Schedule:
    """Returns the message of a schedule that is not stored, without its OUTPUT_ONLY fields."""
    return pb.Schedule(**_values_of(definition))


def _values_of(definition: Definition) -> dict[str, Any]:
    """Returns the fields of the message that a person decides."""
    return {
        "name": f"schedules/{definition.id}",
        "task": spec_to(definition.task),
        "timing": timing_to(definition.timing),
        "paused": definition.paused,
        "pause_note": definition.pause_note,
        "description": definition.description,
        "labels": definition.labels,
        "start_time": timestamp(definition.bounds.start),
        "end_time": timestamp(definition.bounds.end),
        "max_runs": definition.bounds.max_runs or 0,
        "jitter": duration(definition.jitter.total_seconds() or None),
        "misfire_policy": misfire_to(definition.misfire),
        "overlap_policy": OVERLAPS[definition.overlap],
        "resend_lost": definition.resend_lost,
        "pause_after_failures": definition.pause_after_failures or 0,
    }


def run_task_to(sent: RunTask) -> pb.RunTask:
    run = run_name(sent.schedule_id, sent.due_at)
    return pb.RunTask(run=run, task=f"tasks/{sent.task_id}", spec=spec_to(sent.task))


def spec_to(task: Task) -> pb.TaskSpec:
    return pb.TaskSpec(
        task_name=task.name,
        args_json=task.args_json,
        kwargs_json=task.kwargs_json,
        queue=f"queues/{task.queue}",
        priority=task.priority,
        expires=duration(task.expires),
        soft_time_limit=duration(task.soft_time_limit),
        time_limit=duration(task.time_limit),
        headers=task.headers,
    )


def run_to(run: Run) -> pb.Run:
    return pb.Run(
        name=run_name(run.schedule_id, run.due_at),
        due_time=timestamp(run.due_at),
        state=STATES[run.state],
        reason=run.reason,
        task="" if run.state is RunState.SKIPPED else f"tasks/{run.task_id}",
        publish_time=timestamp(run.published_at),
        outcome=OUTCOMES.get(run.outcome or ""),
        runtime=duration(run.runtime),
        error=run.error or "",
        end_time=timestamp(run.ended_at),
    )


def timing_to(timing: Timing) -> pb.Timing:
    message = pb.Timing(time_zone=timing.zone)
    match timing:
        case CrontabTiming():
            message.crontab.expression = timing.crontab.expression
        case IntervalTiming():
            message.interval.every.FromTimedelta(timing.every)
            message.interval.anchor.FromDatetime(timing.anchor)
        case OnceTiming():
            message.once.at.FromDatetime(timing.at)
        case SolarTiming():
            message.solar.event = SOLAR[timing.event]
            message.solar.place.CopyFrom(LatLng(latitude=timing.latitude, longitude=timing.longitude))
    return message


def misfire_to(misfire: Misfire) -> pb.MisfirePolicy:
    skips = misfire.action is MisfireAction.SKIP
    window = None if skips else duration(misfire.window.total_seconds())
    return pb.MisfirePolicy(action=ACTIONS[misfire.action], window=window)


def times_to(found: Preview) -> pb.PreviewTimesResponse:
    """Sets `send_times` only where jitter makes them differ from the due times."""
    sent = found.sent if found.sent != found.due else []
    return pb.PreviewTimesResponse(
        times=[moment for each in found.due if (moment := timestamp(each))],
        send_times=[moment for each in sent if (moment := timestamp(each))],
        looked_until=timestamp(found.looked_until),
        clock_marks=[
            pb.ClockMark(time=timestamp(due), effect=EFFECTS[effect]) for due, effect in found.effects.items()
        ],
    )
