"""Keeps a search index in step with the table of vectors.

1. A write is told by NOTIFY. Then the index reads the writes of all transactions that had not ended when it
   last looked: transactions end in another order than they begin and draw numbers, so that a mark by
   numbers would miss some.
2. Deletions leave no row. Searches confirm what they find in the table, and remove what is gone. After a
   deletion is told, and from time to time in any case, the index compares all numbers.
3. The index is built anew where it wants it, and `Pace.forget` after a removal, so that nothing of a deleted
   message stays in memory or on the disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import structlog

from services.embedder.pace import USUAL, Pace
from services.embedder.search.index import VectorIndex
from services.embedder.search.store_index import CHANNEL, IndexStore, Writes
from services.kernel.database import Database
from services.kernel.endings import to_the_end
from services.kernel.loops import Again, Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS

log = structlog.get_logger(__name__)

# The most vectors that are fetched at a time: 8 MB.
FETCHED = 2000
# What is not a write: a deletion, or a connection that was opened and may have missed some.
COMPARED_AFTER = ("", "DELETE")


class Following:
    """Runs as long as its process. `model`: the identity of the model whose vectors the index holds."""

    def __init__(self, database: Database, model: str, index: VectorIndex, pace: Pace = USUAL) -> None:
        self._database = database
        self._model = model
        self._index = index
        self._pace = pace
        self._turn = asyncio.Lock()
        self._news, self._build_wanted = asyncio.Event(), asyncio.Event()
        # The transaction below which all is held; None: nothing is known.
        self._mark: int | None = None
        self._looked_at = self._compared_at = float("-inf")
        self._deleted = False
        # What an index from before this process has of deleted messages is forgotten at once.
        self._removed_since: float | None = float("-inf")
        # While the database is away, the index keeps its state, and catches up when the database is back.
        self._following = Loop(
            "index",
            self._step,
            every=pace.follow,
            outlives=DATABASE_ERRORS,
            failed="search.follow_failed",
            woken=self._news,
        )
        self._building = Loop("index_building", self._build, every=pace.build, woken=self._build_wanted)

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [self._following.heartbeat, self._building.heartbeat]

    async def run(self) -> None:
        async with self._database.listening(CHANNEL) as notices, asyncio.TaskGroup() as group:
            group.create_task(to_the_end(self._following.run()))
            group.create_task(to_the_end(self._building.run()))
            async for payload in notices:
                self._deleted |= payload in COMPARED_AFTER
                self._news.set()

    async def compare(self) -> None:
        """Brings the index to the state of the table, by the numbers of all writes."""
        async with self._turn:
            began, self._deleted = time.monotonic(), False
            async with self._database.connection() as connection:
                store = IndexStore(connection, self._model)
                mark = await store.under_way()
                stored = await store.all_writes()
                missing = await asyncio.to_thread(self._compared, stored)
                await self._fetch(store, missing)
            self._mark, self._looked_at = mark, began
            self._compared_at = time.monotonic()

    async def catch_up(self) -> None:
        """Adds what was written since the last look."""
        if self._mark is None:
            await self.compare()
            return
        async with self._turn, self._database.connection() as connection:
            store = IndexStore(connection, self._model)
            mark = await store.under_way()
            written = await store.writes_since(self._mark)
            if len(written):
                await self._fetch(store, await asyncio.to_thread(self._index.missing, written[:, 0]))
            self._mark, self._looked_at = mark, time.monotonic()

    def _compared(self, stored: Writes) -> Writes:
        """Removes what is not stored any more, and returns the numbers of what is missing."""
        held = self._index.writes()
        theirs, ours = (np.ascontiguousarray(each).view("i8,i8").ravel() for each in (stored, held))
        gone = held[~np.isin(ours, theirs), 0]
        if len(gone):
            self._index.remove(gone)
        missing: Writes = stored[~np.isin(theirs, ours), 0]
        return missing

    async def _fetch(self, store: IndexStore, missing: Writes) -> None:
        for start in range(0, len(missing), FETCHED):
            marks, vectors = await store.vectors(missing[start : start + FETCHED])
            await asyncio.to_thread(self._index.add, marks, vectors)
            if self._index.overfull:
                await asyncio.to_thread(self._index.build)

    async def _step(self) -> Again:
        # Each chunk of a rebuild is told: several are read together.
        await asyncio.sleep(max(0.0, self._looked_at + self._pace.gather - time.monotonic()))
        until = self._compared_at - time.monotonic()
        if until + (self._pace.after_deletion if self._deleted else self._pace.compare) <= 0:
            await self.compare()
        else:
            await self.catch_up()
        if self._index.wants_building:
            self._build_wanted.set()
        until = self._compared_at + self._pace.after_deletion - time.monotonic()
        return Again(max(0.0, min(until, self._pace.follow)) if self._deleted else self._pace.follow)

    async def _build(self) -> None:
        if not self._index.removed:
            self._removed_since = None
        elif self._removed_since is None:
            self._removed_since = time.monotonic()
        forgets = (
            self._removed_since is not None and time.monotonic() - self._removed_since >= self._pace.forget
        )
        if forgets or self._index.wants_building:
            await asyncio.to_thread(self._index.build)
            self._removed_since = None
