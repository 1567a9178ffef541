"""Reads the log of changes in pages, starting at a cursor."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition
from services.kernel.snapshots import Snapshot
from services.scheduler.dispatch.turns import Turns
from services.scheduler.watch.changes import Change, Entry, Found, Wanted, changes_of
from services.scheduler.watch.cursor import Cursor, Head
from services.scheduler.watch.store_changes import ChangeStore

# Rows of the log in a page. Each may name hundreds of schedules or a thousand runs.
PAGE = 10


class Look(NamedTuple):
    """What to look up: the changes in `wanted` and, with `sizes`, the number of runs of each batch."""

    wanted: Wanted
    sizes: bool = False


class Page(NamedTuple):
    """The changes after a cursor, one list for each look. `ended`: there are no more up to `until`."""

    changes: Sequence[list[Change]]
    cursor: Cursor
    ended: bool


class ChangeLog:
    """The log of changes."""

    def __init__(self, database: Database, turns: Turns) -> None:
        self._database = database
        self._turns = turns

    async def head(self) -> Head:
        async with self._database.reading() as connection:
            return await ChangeStore(connection, self._turns).head()

    async def page(self, cursor: Cursor, looks: Sequence[Look], *, checked: bool = True) -> Page:
        """Returns the next changes, up to the cursor's `until` or else up to now.

        Raises `FailedPrecondition` when the cursor is of another database or timeline or, if `checked`, when
        the log no longer has all that comes after the cursor.
        """
        async with self._database.reading() as connection:
            store = ChangeStore(connection, self._turns)
            head = await store.head()
            if cursor.origin != head.origin or (checked and not head.has_all_after(cursor)):
                raise expired()
            if cursor.until is None:
                cursor = dataclasses.replace(cursor, until=head.now)
            entries = await store.entries(cursor, PAGE)
            found = [await store.find(entries, *look) for look in looks]
        changes: list[list[Change]] = []
        for look, looked_up in zip(looks, found, strict=True):
            changes.append([])
            await self._turns.run(map(changes[-1].append, _changes(entries, look, looked_up, cursor)))
        if len(entries) == PAGE:
            return Page(changes, cursor.at(entries[-1].end), ended=False)
        end = cursor.at(None)
        for each in changes:
            each[-1:] = [last._replace(cursor=end) for last in each[-1:]]
        return Page(changes, end, ended=True)

    async def pages(self, cursor: Cursor, wanted: Wanted, until: Snapshot | None) -> AsyncIterator[Page]:
        """Yields all pages up to `until`; without it, until one page reached the present."""
        while cursor.seen != until:
            if cursor.until is None and until is not None:
                cursor = dataclasses.replace(cursor, until=until)
            to_the_moment = cursor.until is None
            begun = time.monotonic()
            # After a restart all readers resume at once; only a few catch up at a time.
            async with self._turns.catching_up:
                page = await self.page(cursor, [Look(wanted)])
            spent = time.monotonic() - begun
            yield page
            # Catching up may take half of the process's time at most.
            await asyncio.sleep(spent)
            cursor = page.cursor
            if until is None and to_the_moment and page.ended:
                return


def _changes(entries: Sequence[Entry], look: Look, found: Found, cursor: Cursor) -> Iterator[Change]:
    after = cursor
    for entry in entries:
        yield from changes_of(entry, look.wanted, found, after)
        after = cursor.at(entry.end)


def expired() -> FailedPrecondition:
    return FailedPrecondition(
        "CURSOR_EXPIRED",
        "what came after the cursor is no longer kept; watch without a cursor, and when the first message has"
        " come, list schedules, runs and backfills",
    )
