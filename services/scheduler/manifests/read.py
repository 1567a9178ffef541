"""Reads manifests: sets of schedules as text, with fields as people write them (docs/manifests.md).

schedules:
- id: cleanup-cache-daily
  task: cleanup_cache
  queue: maintenance
  crontab: 0 2 * * *
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.kernel.validation import Faults
from services.scheduler.manifests.entry import Entry, kind_of
from services.scheduler.manifests.text import TextInvalid, parse_text
from services.scheduler.schedule import checks
from services.scheduler.schedule.definition import Definition, Overlap, Task
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming, Timing
from services.scheduler.timing.plan import NO_TIME, Bounds, Misfire, MisfireAction
from services.scheduler.timing.solar import EVENTS

MOST_SCHEDULES = 10_000
TIMINGS = ("crontab", "every", "once", "solar")
FIELDS = (
    *("id", "description", "task", "args", "kwargs", "queue", "priority"),
    *("expires", "soft_time_limit", "time_limit", "headers"),
    *(*TIMINGS, "anchor", "zone", "start", "end", "max_runs", "jitter"),
    *("misfire", "misfire_window", "overlap", "resend_lost"),
    *("labels", "paused", "pause_note"),
)
# What the checks of a task and of a schedule call by another name than a manifest.
RENAMED = {"name": "task", "args_json": "args", "kwargs_json": "kwargs", "end_time": "end"}
EXAMPLE = '{"schedules": [{"id": "cleanup-cache-daily", "task": "cleanup_cache", "crontab": "0 2 * * *"}]}'
SECOND, DAY, YEAR = dt.timedelta(seconds=1), dt.timedelta(days=1), dt.timedelta(days=366)


@dataclass(frozen=True)
class Wanted:
    """What a manifest says of one schedule.

    It may leave two things to what is stored: whether the schedule is paused, and an interval's anchor.
    """

    definition: Definition
    says_paused: bool
    says_anchor: bool

    def settled(self, current: Definition | None) -> Definition:
        """The definition that the schedule gets, where it has this one now."""
        wanted = self.definition
        if current is None:
            return wanted
        changes: dict[str, Any] = {}
        if not self.says_paused:
            changes |= {"paused": current.paused, "pause_note": current.pause_note}
        if not self.says_anchor and _same_pace(wanted.timing, current.timing):
            changes["timing"] = current.timing
        # Arguments that mean the same keep the text they have.
        same = {
            name: getattr(current.task, name)
            for name in ("args_json", "kwargs_json")
            if _canonical(getattr(wanted.task, name)) == _canonical(getattr(current.task, name))
        }
        return dataclasses.replace(wanted, task=wanted.task._replace(**same), **changes)


def _same_pace(one: Timing, other: Timing) -> bool:
    if not isinstance(one, IntervalTiming) or not isinstance(other, IntervalTiming):
        return False
    return (one.every, one.zone) == (other.every, other.zone)


def _canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def read_manifest(text: str, zone: str, now: dt.datetime, faults: Faults) -> list[Wanted]:
    """What a manifest's text says; each fault is collected with its place in it.

    `zone` is that of entries without one; `now` is what an interval without an anchor counts from.
    """
    try:
        data = parse_text(text)
    except TextInvalid as error:
        faults.add("manifest", str(error), EXAMPLE)
        return []
    if not isinstance(data, dict):
        faults.add("manifest", f"is {kind_of(data)}, it must be a mapping with `schedules`", EXAMPLE)
        return []
    for name in data.keys() - {"schedules"}:
        faults.add(name[:100], "is no field; a manifest has only `schedules`", EXAMPLE)
    entries = data.get("schedules")
    if not isinstance(entries, list):
        faults.add("schedules", f"is {kind_of(entries)}, it must be a list", EXAMPLE)
        return []
    return read_entries(entries, zone, now, faults)


def read_entries(entries: Sequence[Any], zone: str, now: dt.datetime, faults: Faults) -> list[Wanted]:
    if len(entries) > MOST_SCHEDULES:
        faults.add("schedules", f"has {len(entries)} entries, at most {MOST_SCHEDULES} are allowed", EXAMPLE)
        return []
    found, places = [], dict[str, str]()
    for number, values in enumerate(entries):
        place = f"schedules[{number}]"
        if not isinstance(values, dict):
            faults.add(place, f"is {kind_of(values)}, it must be a mapping", EXAMPLE)
            continue
        wanted = read_entry(values, place, zone, now, faults)
        name = values.get("id")
        if isinstance(name, str) and places.setdefault(name, place) != place:
            faults.add(f"{place}.id", f"is {name[:100]!r}, as that of {places[name]} is", "another one")
        if wanted is not None:
            found.append(wanted)
    return found


def read_entry(
    values: dict[str, Any], place: str, zone: str, now: dt.datetime, faults: Faults
) -> Wanted | None:
    """One schedule; None, with the faults collected, when it is not sound."""
    own = Faults()
    entry = Entry(values, place, own)
    entry.only(FIELDS)
    name = entry.text("id", "cleanup-cache-daily")
    shown = f"is {name[:100]!r}" if name else "is not set"
    fault = f'{shown}; it has 1 to 200 of a-z, 0-9, "-", "_", "." and begins with a letter or digit'
    own.unless(checks.ID.fullmatch(name) is not None, entry.at("id"), fault, "cleanup-cache-daily")
    task, bounds = _task(entry, own), _bounds(entry, own)
    timing = _timing(entry, zone, bounds.start, now, own)
    jitter = entry.span("jitter", NO_TIME, DAY, "30s") or NO_TIME
    checks.jitter(jitter, task.expires, own, place)
    misfire = _misfire(entry, own)
    overlap, resend_lost = _overlap(entry, own), bool(entry.flag("resend_lost"))
    paused, note = _pause(entry, own)
    description, labels = _described(entry, own)
    for found in own:
        parent, _, last = found.field.rpartition(".")
        renamed = f"{place}.{RENAMED[last]}" if parent == place and last in RENAMED else found.field
        faults.add(renamed, found.fault, found.example)
    if own or timing is None:
        return None
    definition = Definition(
        id=name,
        task=task,
        timing=timing,
        description=description,
        labels=labels,
        paused=bool(paused),
        pause_note=note,
        bounds=bounds,
        jitter=jitter,
        misfire=misfire,
        overlap=overlap,
        resend_lost=resend_lost,
    )
    return Wanted(definition, says_paused=paused is not None, says_anchor="anchor" in entry)


def _task(entry: Entry, faults: Faults) -> Task:
    task = Task(
        name=entry.text("task", "cleanup_cache"),
        args_json=entry.json("args", list, "[]", '["daily", 7]'),
        kwargs_json=entry.json("kwargs", dict, "{}", '{"min_length": 5}'),
        queue=entry.text("queue", "maintenance", "celery"),
        priority=entry.whole("priority", "3") or 0,
        expires=entry.seconds("expires"),
        soft_time_limit=entry.seconds("soft_time_limit"),
        time_limit=entry.seconds("time_limit"),
        headers=entry.texts("headers", 'tenant: "acme"'),
    )
    checks.task(task, faults, entry.place)
    return task


def _bounds(entry: Entry, faults: Faults) -> Bounds:
    start, end = entry.moment("start"), entry.moment("end", checks.FOR_EVER)
    bounds = Bounds(start, end, entry.whole("max_runs", "12"))
    checks.bounds(bounds, faults, entry.place)
    return bounds


def _timing(
    entry: Entry, default_zone: str, start: dt.datetime | None, now: dt.datetime, faults: Faults
) -> Timing | None:
    zone = checks.zone(entry.text("zone", "Asia/Taipei"), default_zone, faults, entry.at("zone"))
    kinds = [kind for kind in TIMINGS if kind in entry]
    if len(kinds) != 1:
        fault = (
            f"has {' and '.join(kinds)}; it may have one" if kinds else f"has none of {', '.join(TIMINGS)}"
        )
        faults.add(entry.place, fault, 'crontab: "0 2 * * *"')
        return None
    misplaced = "anchor" in entry and kinds != ["every"]
    faults.unless(not misplaced, entry.at("anchor"), "belongs to `every`, which is not set", "every: 30s")
    match kinds[0]:
        case "crontab":
            expression = entry.text("crontab", "0 2 * * *")
            crontab = checks.crontab(expression, faults, entry.at("crontab"))
            return CrontabTiming(crontab, zone) if crontab else None
        case "every":
            every, anchor = entry.span("every", SECOND, YEAR, "30s"), entry.moment("anchor")
            return IntervalTiming(every, anchor or start or now + every, zone) if every else None
        case "once":
            at = entry.moment("once")
            return OnceTiming(at, zone) if at else None
        case _:
            return _solar(entry, zone, faults)


def _solar(outer: Entry, zone: str, faults: Faults) -> SolarTiming | None:
    example = '{"event": "sunset", "latitude": 25.03, "longitude": 121.56}'
    entry = outer.inner("solar", example)
    entry.only(("event", "latitude", "longitude"))
    event = entry.text("event", "sunrise")
    known = faults.unless(
        event in EVENTS, entry.at("event"), f"is {event[:50]!r}, not one of {', '.join(EVENTS)}", "sunrise"
    )
    latitude, longitude = entry.number("latitude", "25.03"), entry.number("longitude", "121.56")
    on_earth = (
        checks.degrees(latitude, 90, faults, entry.at("latitude"), "25.03"),
        checks.degrees(longitude, 180, faults, entry.at("longitude"), "121.56"),
    )
    if not known or not all(on_earth) or latitude is None or longitude is None:
        return None
    return SolarTiming(event, latitude, longitude, zone)


def _misfire(entry: Entry, faults: Faults) -> Misfire:
    usual, known = Misfire(), [action.value for action in MisfireAction]
    named = entry.text("misfire", "run_each", usual.action.value)
    fault = f"is {named[:50]!r}, not one of {', '.join(known)}"
    action = MisfireAction(named) if named in known else usual.action
    faults.unless(named in known, entry.at("misfire"), fault, "run_each")
    window = entry.span("misfire_window", SECOND, YEAR, "2h")
    sound = action is not MisfireAction.SKIP or window is None
    faults.unless(sound, entry.at("misfire_window"), "must be unset: skip makes up for nothing", "unset")
    return Misfire(action, window or usual.window)


def _overlap(entry: Entry, faults: Faults) -> Overlap:
    known = [overlap.value for overlap in Overlap]
    named = entry.text("overlap", "skip", Overlap.ALLOW.value)
    fault = f"is {named[:50]!r}, not one of {', '.join(known)}"
    sound = faults.unless(named in known, entry.at("overlap"), fault, "skip")
    return Overlap(named) if sound else Overlap.ALLOW


def _pause(entry: Entry, faults: Faults) -> tuple[bool | None, str]:
    paused, example = entry.flag("paused"), "until the move is over"
    note = entry.text("pause_note", example)
    faults.text(entry.at("pause_note"), note, example, most=1000, required=False)
    faults.unless(not note or paused is True, entry.at("pause_note"), "needs `paused: true`", "paused: true")
    return paused, note


def _described(entry: Entry, faults: Faults) -> tuple[str, dict[str, str]]:
    example = "new questions become vectors"
    description = entry.text("description", example)
    faults.text(entry.at("description"), description, example, most=4000, required=False)
    labels = entry.texts("labels", 'team: "growth"')
    checks.labels(labels, faults, entry.at("labels"))
    return description, labels
