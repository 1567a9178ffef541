"""What changes, as it is told to those who watch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from services.scheduler.backfill.backfill import Backfill
from services.scheduler.catalogue.store_listing import EVERY, ScheduleFilter
from services.scheduler.schedule.definition import Run, Schedule
from services.scheduler.watch.cursor import Cursor, Place

# In one message.
MOST_RUNS = 1000
RunKey: TypeAlias = tuple[str, dt.datetime]


class Kind(Enum):
    """What a row of the log is about: a change of schedules, of runs, or of a backfill."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    RUNS = "runs"
    # Runs that were published together.
    BATCH = "batch"
    # Runs that were recorded together and are not published some seconds later.
    UNPUBLISHED = "unpublished"
    BACKFILL = "backfill"
    # Only told: the log does not know who watches by which filter.
    LEFT_FILTER = "left filter"

    @property
    def of_runs(self) -> bool:
        return self in (Kind.RUNS, Kind.BATCH, Kind.UNPUBLISHED)

    @property
    def of_schedules(self) -> bool:
        return self in (Kind.CREATED, Kind.UPDATED, Kind.DELETED)


@dataclass(frozen=True)
class Entry:
    """A row of the log of changes: what was changed, not what it has become."""

    txid: int
    position: int
    kind: Kind
    schedule_ids: Sequence[str] = ()
    # Of runs, beside schedule_ids.
    due_at: Sequence[dt.datetime] = ()
    batch_id: int | None = None
    # Of the one schedule in schedule_ids.
    backfill_id: str | None = None

    @property
    def end(self) -> Place:
        return Place(self.txid, self.position + 1)

    @property
    def run_keys(self) -> list[RunKey]:
        return list(zip(self.schedule_ids, self.due_at, strict=True)) if self.kind is Kind.RUNS else []


@dataclass(frozen=True)
class Wanted:
    """Which changes a reader wants; no names: of all schedules that match."""

    names: frozenset[str] = frozenset()
    schedules: bool = True
    runs: bool = True
    backfills: bool = True
    matching: ScheduleFilter = EVERY

    def wants(self, kind: Kind) -> bool:
        if kind is Kind.BACKFILL:
            return self.backfills
        return self.runs if kind.of_runs else self.schedules

    def names_it(self, schedule_id: str) -> bool:
        return not self.names or schedule_id in self.names


@dataclass(frozen=True)
class ScheduleEvent:
    """`schedule` as it is now; None when it is gone, or no longer matches."""

    kind: Kind
    id: str
    schedule: Schedule | None


@dataclass(frozen=True)
class RunEvents:
    """As they are now."""

    runs: Sequence[Run]


@dataclass(frozen=True)
class BackfillEvent:
    """As it is now."""

    backfill: Backfill


Event: TypeAlias = ScheduleEvent | RunEvents | BackfillEvent


@dataclass(frozen=True)
class LeftOut:
    """So many changes were left out here."""

    count: int


@dataclass
class Found:
    """What has become of what the entries name, as far as it was looked up."""

    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    runs: Mapping[RunKey, Run] = field(default_factory=dict)
    batches: Mapping[int, Sequence[Run]] = field(default_factory=dict)
    # By their ids.
    backfills: Mapping[str, Backfill] = field(default_factory=dict)
    # How many runs a batch has, where not all were looked up.
    sizes: Mapping[int, int] = field(default_factory=dict)
    # Batches that still are.
    unpublished: Collection[int] = ()
    # By a filter: of the schedules that the entries name, those that match now. None: all do.
    matching: Collection[str] | None = None
    # And those that matched before the entry, which is known by its place.
    former: Mapping[tuple[int, int], Collection[str]] = field(default_factory=dict)

    def matches(self, schedule_id: str) -> bool:
        """Now."""
        return self.matching is None or schedule_id in self.matching

    def matched(self, entry: Entry, schedule_id: str) -> bool:
        """Before the entry, so that it may have been told, or listed, and is to be told as gone if it is."""
        if self.matching is None:
            return entry.kind is Kind.DELETED
        return schedule_id in self.former.get((entry.txid, entry.position), ())


class Change(NamedTuple):
    """What to tell. `event` has all of it if `whole`; else only what some readers want, or nothing."""

    kind: Kind
    event: Event | None
    whole: bool
    # How many schedules, runs or backfills changed.
    size: int
    # After it.
    cursor: Cursor


def part_for(wanted: Wanted, event: Event | None) -> Event | None:
    """What the reader wants of it; None: nothing."""
    match event:
        case None:
            return None
        case ScheduleEvent():
            return event if wanted.schedules and wanted.names_it(event.id) else None
        case BackfillEvent(backfill):
            return event if wanted.backfills and wanted.names_it(backfill.schedule_id) else None
        case RunEvents() if not wanted.runs:
            return None
        case RunEvents() if not wanted.names:
            return event
        case RunEvents():
            runs = [run for run in event.runs if run.schedule_id in wanted.names]
            return RunEvents(runs) if runs else None


def size_of(event: Event) -> int:
    return len(event.runs) if isinstance(event, RunEvents) else 1


def changes_of(entry: Entry, looked_up: Wanted, found: Found, cursor: Cursor) -> Iterable[Change]:
    """What an entry has to tell, after the cursor; each with the cursor after it. Some have ten thousand."""
    place = cursor.place
    begun = place.told if place and place[:2] == (entry.txid, entry.position) else 0
    if entry.kind.of_runs:
        return _of_runs(entry, looked_up, found, cursor)
    if entry.backfill_id is not None:
        return _of_backfill(entry, looked_up, found, cursor)
    return _of_schedules(entry, begun, looked_up, found, cursor)


def _of_schedules(
    entry: Entry, begun: int, looked_up: Wanted, found: Found, cursor: Cursor
) -> Iterator[Change]:
    for told, schedule_id in enumerate(entry.schedule_ids[begun:], begun + 1):
        after = cursor.at(Place(entry.txid, entry.position, told))
        if not looked_up.schedules or not looked_up.names_it(schedule_id):
            if found.matches(schedule_id) or found.matched(entry, schedule_id):
                yield Change(entry.kind, None, False, 1, after)
        elif event := _schedule_event(entry, schedule_id, found):
            yield Change(entry.kind, event, True, 1, after)


def _schedule_event(entry: Entry, schedule_id: str, found: Found) -> ScheduleEvent | None:
    """None: what is no longer so, or not yet, is told by the entry that made it so."""
    schedule = found.schedules.get(schedule_id)
    if schedule is not None and found.matches(schedule_id):
        return None if entry.kind is Kind.DELETED else ScheduleEvent(entry.kind, schedule_id, schedule)
    if not found.matched(entry, schedule_id):
        return None
    return ScheduleEvent(Kind.DELETED if schedule is None else Kind.LEFT_FILTER, schedule_id, None)


def _of_runs(entry: Entry, looked_up: Wanted, found: Found, cursor: Cursor) -> list[Change]:
    if entry.kind is Kind.UNPUBLISHED and entry.batch_id not in found.unpublished:
        # That it was published is told by the entry of that.
        return []
    after = cursor.at(entry.end)
    whole = looked_up.runs and not looked_up.names
    if entry.batch_id is not None:
        runs = list(found.batches.get(entry.batch_id, ()))
        count = len(runs) if whole else found.sizes.get(entry.batch_id, 0)
    else:
        runs = [found.runs[key] for key in entry.run_keys if key in found.runs]
        count = len(runs) if whole else sum(map(found.matches, entry.schedule_ids))
    if not runs:
        return [Change(entry.kind, None, False, count, after)] if count and not whole else []
    parts = [runs[start : start + MOST_RUNS] for start in range(0, len(runs), MOST_RUNS)]
    # Which runs a batch has to tell changes as they end. So a batch of several messages, which is rare, is
    # told from its beginning to who takes the stream up in between.
    before = cursor.at(Place(entry.txid, entry.position))
    changes = [
        Change(entry.kind, RunEvents(part), whole, len(part), before if part is not parts[-1] else after)
        for part in parts
    ]
    rest = count - len(runs)
    return [Change(entry.kind, None, False, rest, before), *changes] if rest > 0 else changes


def _of_backfill(entry: Entry, looked_up: Wanted, found: Found, cursor: Cursor) -> list[Change]:
    after = cursor.at(entry.end)
    if not found.matches(entry.schedule_ids[0]):
        return []
    if not looked_up.backfills or not looked_up.names_it(entry.schedule_ids[0]):
        return [Change(entry.kind, None, False, 1, after)]
    # One that is gone went with its schedule, which is told.
    backfill = found.backfills.get(entry.backfill_id or "")
    return [Change(entry.kind, BackfillEvent(backfill), True, 1, after)] if backfill else []
