"""Reads the log of changes, a page at a time, from a cursor on."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition
from services.scheduler.changes import Change, Found, Wanted, changes_of
from services.scheduler.store_changes import ChangeStore
from services.scheduler.watching_cursor import Cursor, Head, Snapshot

# Rows of the log in a page. Each may name some hundred schedules or a thousand runs.
PAGE = 10


class Page(NamedTuple):
    """What came after a cursor. `ended`: that is all that there was."""

    changes: list[Change]
    cursor: Cursor
    ended: bool


class ChangeLog:
    """The log of changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> Head:
        async with self._database.reading() as connection:
            return await ChangeStore(connection).head()

    async def page(
        self, cursor: Cursor, wanted: Wanted, *, sizes: bool = False, checked: bool = True
    ) -> Page:
        """The next changes, those that are wanted in full; up to now, or to the cursor's `until`.

        `sizes`: of what is not wanted the sizes are, too. FailedPrecondition, if checked, when the log no
        longer has all that comes after the cursor.
        """
        async with self._database.reading() as connection:
            store = ChangeStore(connection)
            head = await store.head()
            if cursor.origin != head.origin or (checked and not head.has_all_after(cursor)):
                raise expired()
            if cursor.until is None:
                cursor = dataclasses.replace(cursor, until=head.now)
            entries = await store.entries(cursor, PAGE)
            found = await store.find(entries, wanted, sizes=sizes) if entries else Found()
        changes: list[Change] = []
        after = cursor
        for entry in entries:
            changes += changes_of(entry, wanted, found, after)
            after = cursor.at(entry.end)
        if len(entries) < PAGE:
            end = cursor.at(None)
            changes[-1:] = [last._replace(cursor=end) for last in changes[-1:]]
            return Page(changes, end, ended=True)
        return Page(changes, after, ended=False)

    async def pages(self, cursor: Cursor, wanted: Wanted, until: Snapshot | None) -> AsyncIterator[Page]:
        """All pages up to `until`, or to a moment at which there was no more than a page."""
        while cursor.seen != until:
            if cursor.until is None and until is not None:
                cursor = dataclasses.replace(cursor, until=until)
            to_the_moment = cursor.until is None
            begun = time.monotonic()
            page = await self.page(cursor, wanted)
            spent = time.monotonic() - begun
            yield page
            # The process has more to do than this.
            await asyncio.sleep(spent)
            cursor = page.cursor
            if until is None and to_the_moment and page.ended:
                return


def expired() -> FailedPrecondition:
    return FailedPrecondition(
        "CURSOR_EXPIRED",
        "what came after the cursor is no longer kept; watch without a cursor, then list schedules, runs and"
        " backfills",
    )
