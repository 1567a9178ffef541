"""Between the contract's messages and what decides when a schedule is due."""

from __future__ import annotations

import datetime as dt

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.kernel.validation import Faults
from services.scheduler.catalogue.preview import Preview
from services.scheduler.schedule import checks
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming, Timing
from services.scheduler.timing.plan import NO_TIME, Bounds, Misfire, MisfireAction
from services.scheduler.timing.solar import EVENTS

SECOND = dt.timedelta(seconds=1)
MILLISECOND = dt.timedelta(milliseconds=1)
DAY = dt.timedelta(days=1)
YEAR = dt.timedelta(days=366)
SOLAR = wire_values(pb.SolarEvent, EVENTS)
SOLAR_FROM_WIRE = from_wire(SOLAR)
ACTIONS = wire_values(pb.MisfireAction, MisfireAction)
ACTIONS_FROM_WIRE = from_wire(ACTIONS)
TIMING_EXAMPLE = '{"crontab": {"expression": "0 3 * * *"}}'


def timing_from(
    message: pb.Timing,
    default_zone: str,
    start: dt.datetime | None,
    now: dt.datetime,
    faults: Faults,
    field: str,
) -> Timing | None:
    """The timing in a message; None when it is not sound. `start`: the schedule's start time, if any."""
    zone = checks.zone(message.time_zone, default_zone, faults, f"{field}.time_zone")
    match message.WhichOneof("kind"):
        case "crontab":
            crontab = checks.crontab(message.crontab.expression, faults, f"{field}.crontab.expression")
            return CrontabTiming(crontab, zone) if crontab else None
        case "interval":
            return _interval(message.interval, zone, start, now, faults, f"{field}.interval")
        case "once":
            at = _moment(message.once, "at", faults, f"{field}.once.at", required=True)
            return OnceTiming(at, zone) if at else None
        case "solar":
            return _solar(message.solar, zone, faults, f"{field}.solar")
        case _:
            faults.add(field, "has no crontab, interval, once or solar", TIMING_EXAMPLE)
            return None


def changed_timing(
    current: Timing,
    message: pb.Timing,
    default_zone: str,
    start: dt.datetime | None,
    now: dt.datetime,
    faults: Faults,
) -> Timing:
    """The timing that a change asks for. An interval of the same pace and no anchor keeps the one it had, so
    that asking for the same twice changes nothing.
    """
    wanted = timing_from(message, default_zone, start, now, faults, "schedule.timing") or current
    if isinstance(wanted, IntervalTiming) and isinstance(current, IntervalTiming):
        same_pace = (wanted.every, wanted.zone) == (current.every, current.zone)
        if same_pace and not message.interval.HasField("anchor"):
            return current
    return wanted


def _interval(
    message: pb.Interval,
    zone: str,
    start: dt.datetime | None,
    now: dt.datetime,
    faults: Faults,
    field: str,
) -> IntervalTiming | None:
    what = "whole milliseconds, from 1 second to 366 days"
    every = _span(message.every, SECOND, YEAR, what, "30s", faults, f"{field}.every")
    anchor = _moment(message, "anchor", faults, f"{field}.anchor")
    if every is None:
        return None
    return IntervalTiming(every, anchor or start or now + every, zone)


def _solar(message: pb.Solar, zone: str, faults: Faults, field: str) -> SolarTiming | None:
    event = SOLAR_FROM_WIRE.get(message.event)
    fault = "is not an event of the sun" if message.event else "is not set"
    faults.unless(event is not None, f"{field}.event", fault, "SOLAR_EVENT_SUNRISE")
    latitude = message.latitude if message.HasField("latitude") else None
    longitude = message.longitude if message.HasField("longitude") else None
    on_earth = (
        checks.degrees(latitude, 90, faults, f"{field}.latitude", "25.03"),
        checks.degrees(longitude, 180, faults, f"{field}.longitude", "121.56"),
    )
    if event is None or not all(on_earth):
        return None
    return SolarTiming(event, message.latitude, message.longitude, zone)


def bounds_from(message: pb.Schedule, faults: Faults, field: str, only: str | None = None) -> Bounds:
    """The bounds in a message; with `only`, just this field of it."""
    start = end = None
    if only in (None, "start_time"):
        start = _moment(message, "start_time", faults, f"{field}.start_time")
    if only in (None, "end_time"):
        end = _moment(message, "end_time", faults, f"{field}.end_time", latest=checks.FOR_EVER)
    return Bounds(start, end, message.max_runs or None)


def jitter_from(message: pb.Schedule, faults: Faults, field: str) -> dt.timedelta:
    if not message.HasField("jitter"):
        return NO_TIME
    what = "whole milliseconds, up to a day"
    return _span(message.jitter, NO_TIME, DAY, what, "30s", faults, f"{field}.jitter") or NO_TIME


def misfire_from(message: pb.MisfirePolicy, faults: Faults, field: str) -> Misfire:
    usual = Misfire()
    action = ACTIONS_FROM_WIRE.get(message.action) if message.action else usual.action
    fault = f"is {message.action}, not a MisfireAction"
    faults.unless(action is not None, f"{field}.action", fault, "MISFIRE_ACTION_RUN_EACH")
    if action is None or not message.HasField("window"):
        return usual._replace(action=action or usual.action)
    fault = "must be unset: SKIP makes up for nothing"
    faults.unless(action is not MisfireAction.SKIP, f"{field}.window", fault, "unset")
    what = "whole milliseconds, from 1 second to 366 days"
    window = _span(message.window, SECOND, YEAR, what, "7200s", faults, f"{field}.window")
    return Misfire(action, window or usual.window)


def _span(
    message: Duration,
    least: dt.timedelta,
    most: dt.timedelta,
    what: str,
    example: str,
    faults: Faults,
    field: str,
) -> dt.timedelta | None:
    """A span of whole milliseconds; None, with the fault collected, when it is not within its limits."""
    try:
        span = dt.timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        span = None
    sound = span is not None and least <= span <= most and message.nanos % 1_000_000 == 0
    return span if faults.unless(sound, field, f"must be {what}", example) else None


def _moment(
    message: Message,
    name: str,
    faults: Faults,
    field: str,
    *,
    required: bool = False,
    latest: dt.datetime = checks.LATEST,
) -> dt.datetime | None:
    example = "2026-12-24T09:00:00Z"
    if not message.HasField(name):
        faults.unless(not required, field, "is not set", example)
        return None
    try:
        moment: dt.datetime = getattr(message, name).ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        faults.add(field, "is not a time between the years 1 and 9999", example)
        return None
    return checks.moment(moment, faults, field, latest)


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
            message.solar.latitude, message.solar.longitude = timing.latitude, timing.longitude
    return message


def misfire_to(misfire: Misfire) -> pb.MisfirePolicy:
    skips = misfire.action is MisfireAction.SKIP
    window = None if skips else duration(misfire.window.total_seconds())
    return pb.MisfirePolicy(action=ACTIONS[misfire.action], window=window)


def times_to(found: Preview) -> pb.PreviewTimesResponse:
    """Due times, and when they are sent if that is another time."""
    sent = found.sent if found.sent != found.due else []
    return pb.PreviewTimesResponse(
        times=[moment for each in found.due if (moment := timestamp(each))],
        send_times=[moment for each in sent if (moment := timestamp(each))],
        looked_until=timestamp(found.looked_until),
    )
