"""Converts the dump of another beat (clients/python/src/celeriac/beat_dump.py) to schedules of a manifest.

Nothing is dropped silently: whatever can't be carried over is noted, with the reason.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.kernel.validation import Faults
from services.scheduler.manifests.entry import kind_of
from services.scheduler.manifests.read import MOST_SCHEDULES, Wanted, read_entry
from services.scheduler.manifests.take_over_entry import Note, Notes, NotJson, Weight, manifest_entry
from services.scheduler.manifests.text import TextInvalid, parse_text
from services.scheduler.schedule import checks
from services.scheduler.schedule.checks import LONGEST_ID, MOST_DESCRIPTION

SOURCES = ("beat_schedule", "django_celery_beat", "redbeat")
EXAMPLE = "what `python -m celeriac.beat_dump beat-schedule proj` writes"
KNOWN = ("celeriac_dump", "source", "entries")


@dataclass(frozen=True)
class Imported:
    """The result of reading a dump: schedules as in a manifest, and notes on what was not carried over."""

    wanted: tuple[Wanted, ...]
    not_carried: tuple[Note, ...]


class _Ids:
    """Makes schedule ids from the names in a dump. They depend on the set of names, not on its order."""

    def __init__(self, names: list[str]) -> None:
        self._ids: dict[str, str] = {}
        taken: set[str] = set()
        # For each wanted id, the highest number that was tried: lower ones are taken.
        numbers: dict[str, int] = {}
        # Names that are valid ids come first and are kept; the others follow in order of name.
        for name in sorted(names, key=lambda name: (_id_of(name) != name, name)):
            wanted = _id_of(name)
            found, number = wanted, numbers.get(wanted, 1)
            while found in taken:
                number += 1
                found = f"{wanted[: LONGEST_ID - 8]}-{number}"
            numbers[wanted] = number
            taken.add(found)
            self._ids[name] = found

    def of(self, name: str) -> str:
        return self._ids[name]


def _id_of(name: str) -> str:
    if checks.ID.fullmatch(name):
        return name
    words = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._")
    if words and name.isascii():
        return words[:LONGEST_ID]
    # The characters that are lost may be the only difference between two names: "每日報表", "每週報表".
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{words[: LONGEST_ID - 9].rstrip('-._') or 'schedule'}-{digest}"


@dataclass(frozen=True)
class Dump:
    """The text of a dump, labels for all its schedules, and the queue of those that have none."""

    text: str
    labels: Mapping[str, str]
    queue: str = ""


def read_dump(dump: Dump, zone: str, now: dt.datetime, faults: Faults) -> Imported:
    """Returns the schedules in a dump, with notes in the order of their weights.

    Faults of the dump go to `faults`, those of an entry to its notes.
    """
    text, labels = dump.text, dump.labels
    checks.labels(labels, faults, "labels")
    entries = _entries(text, faults)
    if faults:
        return Imported((), ())
    wanted, notes = [], list[Note]()
    ids = _Ids([entry["name"] for entry in entries])
    for entry in entries:
        own = Notes(entry["name"])
        values = manifest_entry(entry, dump.queue, own)
        if values is not None:
            values = _named(values, entry["name"], ids.of(entry["name"]), own) | _labelled(labels)
            found = _checked(values, zone, now, own)
            wanted += [found] if found else []
        notes += own
    return Imported(tuple(wanted), tuple(sorted(notes, key=lambda note: note.weight)))


def _labelled(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"labels": dict(labels)} if labels else {}


def _named(values: dict[str, Any], name: str, found: str, notes: Notes) -> dict[str, Any]:
    described = values.get("description", "")
    if found != name:
        told = f"is no id of a schedule: it is called {found!r}, its name is in the description"
        notes.add("name", told, Weight.RENAMED)
        described = f"{name}: {described}" if described else name
    if isinstance(described, str) and len(described) > MOST_DESCRIPTION:
        told = f"has {len(described)} characters: the first {MOST_DESCRIPTION} are kept"
        notes.add("description", told, Weight.RENAMED)
        described = described[:MOST_DESCRIPTION]
    return {"id": found, **values, "description": described}


def _checked(values: dict[str, Any], zone: str, now: dt.datetime, notes: Notes) -> Wanted | None:
    faults = Faults()
    found = read_entry(values, "entry", zone, now, faults)
    if found is None:
        told = "; ".join(f"{fault.field.removeprefix('entry.')} {fault.fault}" for fault in faults)
        notes.add("", f"is not carried over: {told}")
    return found


def _entries(text: str, faults: Faults) -> list[dict[str, Any]]:
    try:
        data = parse_text(text, NotJson) if text.lstrip().startswith("{") else None
    except TextInvalid as error:
        faults.add("dump", str(error), EXAMPLE)
        return []
    if not isinstance(data, dict) or data.get("celeriac_dump") != 1:
        faults.add("dump", 'is no dump: it has no "celeriac_dump": 1', EXAMPLE)
        return []
    for name in data.keys() - set(KNOWN):
        faults.add(f"dump.{name[:100]}", "is no field of a dump", EXAMPLE)
    source = data.get("source")
    faults.unless(source in SOURCES, "dump.source", f"is not one of {', '.join(SOURCES)}", "redbeat")
    entries = data.get("entries")
    if not isinstance(entries, list) or len(entries) > MOST_SCHEDULES:
        faults.add("dump.entries", f"is no list of at most {MOST_SCHEDULES}", EXAMPLE)
        return []
    return list(_sound(entries, faults))


def _sound(entries: list[Any], faults: Faults) -> Iterator[dict[str, Any]]:
    names: set[str] = set()
    for number, entry in enumerate(entries):
        place = f"dump.entries[{number}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not faults.text(f"{place}.name", name, "add-every-30s", most=1000):
            if not isinstance(name, str):
                faults.add(f"{place}.name", f"is {kind_of(name)}, it must be a text", "add-every-30s")
            continue
        if faults.unless(name not in names, f"{place}.name", f"is {name[:100]!r} again", "another one"):
            names.add(name)
            yield entry
