"""The events of WatchSchedules, and how they are made from the entries of the log of changes. Pure."""

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

# The most runs that one message holds.
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
    # Runs that were recorded together and were still not published some seconds later.
    UNPUBLISHED = "unpublished"
    BACKFILL = "backfill"
    # Sent to readers only, never logged: the log does not know which reader uses which filter.
    LEFT_FILTER = "left filter"

    @property
    def of_runs(self) -> bool:
        return self in (Kind.RUNS, Kind.BATCH, Kind.UNPUBLISHED)

    @property
    def of_schedules(self) -> bool:
        return self in (Kind.CREATED, Kind.UPDATED, Kind.DELETED)


@dataclass(frozen=True)
class Entry:
    """A row of the log of changes. It names what was changed; the new state is looked up when it is sent."""

    txid: int
    position: int
    kind: Kind
    schedule_ids: Sequence[str] = ()
    # The due times of runs; each belongs to the schedule at the same place in schedule_ids.
    due_at: Sequence[dt.datetime] = ()
    batch_id: int | None = None
    # A backfill of the only schedule in schedule_ids.
    backfill_id: str | None = None

    @property
    def end(self) -> Place:
        return Place(self.txid, self.position + 1)

    @property
    def run_keys(self) -> list[RunKey]:
        return list(zip(self.schedule_ids, self.due_at, strict=True)) if self.kind is Kind.RUNS else []


@dataclass(frozen=True)
class Wanted:
    """Which changes a reader wants. Without names: those of all schedules that match the filter."""

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
    """`schedule` is the present state; None when it was deleted or no longer matches the filter."""

    kind: Kind
    id: str
    schedule: Schedule | None


@dataclass(frozen=True)
class RunEvents:
    """Runs that changed, in their present state."""

    runs: Sequence[Run]


@dataclass(frozen=True)
class BackfillEvent:
    """A backfill that changed, in its present state."""

    backfill: Backfill


Event: TypeAlias = ScheduleEvent | RunEvents | BackfillEvent


@dataclass(frozen=True)
class LeftOut:
    """The reader was too slow: `count` changes were left out here."""

    count: int


@dataclass
class Found:
    """The present state of what the entries name, as far as it was looked up."""

    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    runs: Mapping[RunKey, Run] = field(default_factory=dict)
    batches: Mapping[int, Sequence[Run]] = field(default_factory=dict)
    # By backfill id.
    backfills: Mapping[str, Backfill] = field(default_factory=dict)
    # The number of runs of a batch, for batches whose runs were not all looked up.
    sizes: Mapping[int, int] = field(default_factory=dict)
    # Batches of UNPUBLISHED entries that are still not published.
    unpublished: Collection[int] = ()
    # The schedules named by the entries that match the filter now. None: there is no filter.
    matching: Collection[str] | None = None
    # For each entry, by (txid, position): the schedules that matched the filter before it.
    former: Mapping[tuple[int, int], Collection[str]] = field(default_factory=dict)

    def matches(self, schedule_id: str) -> bool:
        """Whether the schedule matches the filter now."""
        return self.matching is None or schedule_id in self.matching

    def matched(self, entry: Entry, schedule_id: str) -> bool:
        """Whether the schedule matched the filter before the entry; without a filter, whether it was deleted.

        If so, the reader may know it, and must be told when it is deleted or no longer matches.
        """
        if self.matching is None:
            return entry.kind is Kind.DELETED
        return schedule_id in self.former.get((entry.txid, entry.position), ())


class Change(NamedTuple):
    """What an entry tells readers. If not `whole`, `event` has only what some readers want, or is None."""

    kind: Kind
    event: Event | None
    whole: bool
    # How many schedules, runs or backfills changed.
    size: int
    # The cursor after this change.
    cursor: Cursor


def part_for(wanted: Wanted, event: Event | None) -> Event | None:
    """Returns the part of the event that the reader wants; None when it wants nothing of it."""
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
    """Returns the changes of an entry after the cursor; those of schedules lazily, as there may be many."""
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
    """Returns None when the reader need not know of this entry, or when a later entry has the event."""
    schedule = found.schedules.get(schedule_id)
    if schedule is not None and found.matches(schedule_id):
        return None if entry.kind is Kind.DELETED else ScheduleEvent(entry.kind, schedule_id, schedule)
    if not found.matched(entry, schedule_id):
        return None
    return ScheduleEvent(Kind.DELETED if schedule is None else Kind.LEFT_FILTER, schedule_id, None)


def _of_runs(entry: Entry, looked_up: Wanted, found: Found, cursor: Cursor) -> list[Change]:
    if entry.kind is Kind.UNPUBLISHED and entry.batch_id not in found.unpublished:
        # Its publication is logged in another entry.
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
    # Runs leave the list of a batch as they end, so a position inside it would not stay valid. A batch of
    # several messages is rare; a reader that resumes between them gets the batch again from its first run.
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
    # A backfill that is gone was deleted with its schedule, whose deletion is an event.
    backfill = found.backfills.get(entry.backfill_id or "")
    return [Change(entry.kind, BackfillEvent(backfill), True, 1, after)] if backfill else []
