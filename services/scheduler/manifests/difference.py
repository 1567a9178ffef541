"""Compares wanted schedules with the stored ones, field by field, for people to read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from services.scheduler.manifests.read import Wanted
from services.scheduler.manifests.write import entry_of
from services.scheduler.schedule.definition import Definition, Schedule

MOST_SHOWN = 500
# The limit of all fields together, and of the text: a large manifest has more than a response may hold.
MOST_TOLD = 256 * 1024
# Fields that are shown key by key.
MAPPINGS = ("kwargs", "headers", "labels", "solar")


class Kind(Enum):
    CREATE = "+"
    CHANGE = "~"
    REMOVE = "-"


class FieldChange(NamedTuple):
    """The old and new value of a field, as a manifest writes them; "" when not set."""

    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Change:
    """The change of one schedule. `current` is None when it is created, `wanted` when it is removed."""

    kind: Kind
    current: Schedule | None
    wanted: Definition | None
    fields: tuple[FieldChange, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        if self.wanted is not None:
            return self.wanted.id
        assert self.current is not None
        return self.current.definition.id


@dataclass(frozen=True)
class Difference:
    """All changes, by id, and how many of the wanted schedules don't change."""

    changes: tuple[Change, ...]
    unchanged: int
    etag: str

    def of(self, kind: Kind) -> list[Change]:
        return [change for change in self.changes if change.kind is kind]

    @property
    def text(self) -> str:
        """One line for each schedule and each field; the last line has the counts."""
        lines = _bounded([line for change in self.changes for line in _lines(change)])
        counts = [len(self.of(kind)) for kind in Kind]
        created, changed, removed = counts
        lines.append(f"{created} created, {changed} changed, {removed} removed, {self.unchanged} unchanged")
        return "\n".join(lines) + "\n"


def difference(
    wanted: Sequence[Wanted], stored: Iterable[Schedule], pruned: Iterable[str], now: dt.datetime, seed: str
) -> Difference:
    """Returns the difference. `stored`: the wanted schedules that exist, and those to remove (ids `pruned`).

    `seed` identifies the request and the deletions before it. The etag is a hash of it and of the stored
    versions.
    """
    before = {schedule.definition.id: schedule for schedule in stored}
    changes = [_removal(before[name]) for name in pruned]
    unchanged = 0
    for each in wanted:
        change = _change(each, before.get(each.definition.id), now)
        if change is None:
            unchanged += 1
        else:
            changes.append(change)
    changes.sort(key=lambda change: change.id)
    versions = sorted((schedule.definition.id, schedule.etag) for schedule in before.values())
    digest = hashlib.sha256(json.dumps([seed, versions]).encode()).hexdigest()
    return Difference(tuple(changes), unchanged, digest[:32])


def _removal(current: Schedule) -> Change:
    return Change(Kind.REMOVE, current, None)


def _change(wanted: Wanted, current: Schedule | None, now: dt.datetime) -> Change | None:
    """Returns the change of one schedule; None when nothing changes."""
    settled = wanted.settled(current.definition if current else None)
    if current is not None and settled == current.definition and not current.faults:
        return None
    kind = Kind.CREATE if current is None else Kind.CHANGE
    before = _before(current) if current else {}
    after = _shown(entry_of(settled))
    if not wanted.says_anchor and before.get("anchor") != after.get("anchor"):
        # The anchor is not shown: it depends on the moment at which the manifest is applied.
        after.pop("anchor", None)
    fields = [
        FieldChange(field, before.get(field, ""), after.get(field, ""))
        for field in _ordered(before, after)
        if field != "id" and before.get(field) != after.get(field)
    ]
    warnings = _warnings(settled, current.run_count if current else 0, now)
    return Change(kind, current, settled, tuple(fields), warnings)


def _before(current: Schedule) -> dict[str, str]:
    """Returns the stored fields as text; those that can't be read with the reason."""
    faults = {field: f"(can't be read: {fault})" for field, fault in current.faults.items()}
    entry = _shown(entry_of(current.definition))
    if "timing" in faults:
        entry.pop("once", None)
    return entry | faults


def _warnings(settled: Definition, run_count: int, now: dt.datetime) -> tuple[str, ...]:
    if settled.plan.next_due(now) is None:
        return ("is never due: nothing of it lies between now (or start) and end",)
    if not settled.paused and settled.is_never_due(run_count):
        return (f"is done: {run_count} runs are behind it, and max_runs is {settled.bounds.max_runs}",)
    return ()


def _shown(entry: Mapping[str, Any]) -> dict[str, str]:
    """Returns each field as text; mappings have one field for each key."""
    shown = dict[str, str]()
    for field, value in entry.items():
        if field in MAPPINGS and isinstance(value, dict):
            shown |= {f"{field}.{key}": _text(inner) for key, inner in value.items()}
        else:
            shown[field] = _text(value)
    return shown


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else json.dumps(value, ensure_ascii=False)


def _ordered(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Returns the names of all fields: those of `after` in order, then those that only `before` has."""
    return list(dict.fromkeys([*after, *before]))


def cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _bounded(lines: list[str]) -> list[str]:
    left = MOST_TOLD
    for number, line in enumerate(lines):
        left -= len(line)
        if left < 0:
            return [*lines[:number], f"… and {len(lines) - number} lines more"]
    return lines


def _lines(change: Change) -> Iterable[str]:
    yield f"{change.kind.value} {change.id}"
    for field in change.fields:
        if change.kind is Kind.CREATE:
            yield f"    {field.field}: {_line(field.new)}"
        else:
            yield f"    {field.field}: {_line(field.old)} → {_line(field.new)}"
    for warning in change.warnings:
        yield f"    ! {warning}"


def _line(text: str) -> str:
    return cut(text.replace("\n", "\\n")) or "(not set)"
