"""Reads manifests: sets of schedules in YAML or JSON (docs/manifests.md). For example:

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
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context
from typing import Any

from services.kernel.validation import Faults
from services.scheduler.manifests.entry import Entry, kind_of
from services.scheduler.manifests.text import TextInvalid, parse_text
from services.scheduler.schedule import checks
from services.scheduler.schedule.definition import Definition, Overlap, Task
from services.scheduler.schedule.reading import Draft, Source, TimingKind, definition_from, settled
from services.scheduler.timing.plan import MisfireAction
from services.scheduler.timing.solar import EVENTS

MOST_SCHEDULES = 10_000
TIMINGS: dict[str, TimingKind] = {"crontab": "crontab", "every": "interval", "once": "once", "solar": "solar"}
EVENT_NAMES = {name: name for name in EVENTS}
MISFIRES = {each.value: each for each in MisfireAction}
OVERLAPS = {each.value: each for each in Overlap}
FIELDS = (
    *("id", "description", "task", "args", "kwargs", "queue", "priority"),
    *("expires", "soft_time_limit", "time_limit", "headers"),
    *(*TIMINGS, "anchor", "zone", "start", "end", "max_runs", "jitter"),
    *("misfire", "misfire_window", "overlap", "resend_lost", "pause_after_failures"),
    *("labels", "paused", "pause_note"),
)
# The contract's names of fields, and the manifest's where they differ. Only fields that can be at fault.
NAMES = {
    "task": "",
    "task.task_name": "task",
    "task.args_json": "args",
    "task.kwargs_json": "kwargs",
    "timing": "",
    "timing.time_zone": "zone",
    "timing.crontab.expression": "crontab",
    "timing.interval": "",
    "timing.once.at": "once",
    "timing.solar.place": "solar",
    "start_time": "start",
    "end_time": "end",
    "misfire_policy.window": "misfire_window",
}
# Arguments have at most so many characters, so this context never rounds.
ALL_DIGITS = Context(prec=checks.MOST_JSON, Emax=MAX_EMAX, Emin=MIN_EMIN)
# Tells a number from a text that looks like it. No text begins with it by chance: each process has its own.
A_NUMBER = uuid.uuid4().hex
EXAMPLE = '{"schedules": [{"id": "cleanup-cache-daily", "task": "cleanup_cache", "crontab": "0 2 * * *"}]}'


@dataclass(frozen=True)
class Wanted:
    """One schedule as a manifest defines it.

    If the manifest leaves them out, a stored schedule keeps its pause and its interval's anchor.
    """

    definition: Definition
    says_paused: bool
    says_anchor: bool

    def settled(self, current: Definition | None) -> Definition:
        """Returns the new definition of a schedule that now has `current` (None: it does not exist)."""
        wanted = self.definition
        if current is None:
            return wanted
        changes: dict[str, Any] = {}
        if not self.says_paused:
            changes = {"paused": current.paused, "pause_note": current.pause_note}
        timing = settled(wanted.timing, current.timing, names_anchor=self.says_anchor)
        # Arguments with the same meaning as the current ones keep the current text.
        same = {
            name: getattr(current.task, name)
            for name in ("args_json", "kwargs_json")
            if _canonical(getattr(wanted.task, name)) == _canonical(getattr(current.task, name))
        }
        return dataclasses.replace(wanted, task=wanted.task._replace(**same), timing=timing, **changes)


def _canonical(text: str) -> str:
    """Returns the same text for arguments that mean the same: blanks and the order of keys don't count.

    5 and 5.0 are two numbers here, 5.0 and 5.00 are one, and all digits count.
    """
    read = json.loads(
        text, parse_float=lambda number: ALL_DIGITS.create_decimal(number).normalize(ALL_DIGITS)
    )
    return json.dumps(read, sort_keys=True, default=lambda number: f"{A_NUMBER} {number}")


def read_manifest(text: str, zone: str, now: dt.datetime, faults: Faults) -> list[Wanted]:
    """Returns the schedules in a manifest's text; each fault is collected with its place in the manifest.

    `zone` is the time zone of entries that name none. Intervals without an anchor count from `now`.
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
    """Returns one schedule; None, with the faults collected, when it is not sound."""
    own = Faults()
    entry = Entry(values, place, own)
    entry.only(FIELDS)
    definition = definition_from(_draft(entry, own), Source(place, zone, now, own, NAMES))
    faults.take(own)
    if definition is None:
        return None
    return Wanted(definition, says_paused="paused" in entry, says_anchor="anchor" in entry)


def _draft(entry: Entry, faults: Faults) -> Draft:
    solar = entry.inner("solar", '{"event": "sunset", "latitude": 25.03, "longitude": 121.56}')
    solar.only(("event", "latitude", "longitude"))
    paused, note = entry.flag("paused"), entry.text("pause_note", "until the move is over")
    faults.unless(not note or paused is True, entry.at("pause_note"), "needs `paused: true`", "paused: true")
    return Draft(
        id=checks.plain_id(entry.text("id", "cleanup-cache-daily"), faults, entry.at("id")),
        task=_task(entry),
        kind=_timing_kind(entry, faults),
        zone=entry.text("zone", "Asia/Taipei"),
        crontab=entry.text("crontab", "0 2 * * *"),
        every=entry.span("every"),
        anchor=entry.moment("anchor"),
        once=entry.moment("once"),
        event=solar.choice("event", EVENT_NAMES, "sunrise"),
        latitude=solar.number("latitude", "25.03"),
        longitude=solar.number("longitude", "121.56"),
        start=entry.moment("start"),
        end=entry.moment("end"),
        max_runs=entry.whole("max_runs", "12"),
        jitter=entry.span("jitter"),
        misfire=entry.choice("misfire", MISFIRES, "run_each"),
        misfire_window=entry.span("misfire_window"),
        overlap=entry.choice("overlap", OVERLAPS, "skip"),
        resend_lost=bool(entry.flag("resend_lost")),
        pause_after_failures=entry.whole("pause_after_failures", "3"),
        description=entry.text("description", "new questions become vectors"),
        labels=entry.texts("labels", 'team: "growth"'),
        paused=bool(paused),
        pause_note=note,
    )


def _task(entry: Entry) -> Task:
    return Task(
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


def _timing_kind(entry: Entry, faults: Faults) -> TimingKind | None:
    kinds = [kind for kind in TIMINGS if kind in entry]
    misplaced = "anchor" in entry and kinds and "every" not in kinds
    faults.unless(not misplaced, entry.at("anchor"), "belongs to `every`, which is not set", "every: 30s")
    if len(kinds) == 1:
        return TIMINGS[kinds[0]]
    fault = f"has {' and '.join(kinds)}; it may have one" if kinds else f"has none of {', '.join(TIMINGS)}"
    faults.add(entry.place, fault, 'crontab: "0 2 * * *"')
    return None
