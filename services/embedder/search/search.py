"""Search by meaning: an index in memory that follows the table of vectors, and confirms its results there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.embedder.bulk.store_vectors import VectorStore
from services.embedder.messages.messages import Message, MessageFilter
from services.embedder.messages.store_messages import MessageStore
from services.embedder.pace import USUAL, Pace
from services.embedder.search.index import Entry, VectorIndex
from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions

# The most vectors that are fetched at a time: 8 MB.
FETCHED = 2000

# Returns the unit vector of a question: float32 [1024].
Question = Callable[[str], Awaitable[NDArray[np.float32]]]


@dataclass(frozen=True)
class Query:
    """A unit vector, the number of results, the least cosine, and which messages to search."""

    vector: NDArray[np.float32]
    k: int
    min_score: float
    wanted: MessageFilter


class Search:
    """Finds messages by meaning, with the vectors of one model."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        model: str,
        question: Question,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._model = model
        self._question = question
        self._index = VectorIndex()
        self._being_followed = asyncio.Lock()
        # While the database is away, the index keeps its state, and catches up when the database is back.
        self.following = Loop(
            "index", self.follow, every=pace.follow, outlives=DATABASE_ERRORS, failed="search.follow_failed"
        )

    async def follow(self) -> None:
        """Updates the index to the state of the table.

        It compares the numbers of all writes. To read only the numbers above the last known one would miss
        some: transactions don't commit in the order in which they draw their numbers.
        """
        async with self._being_followed, self._database.connection() as connection:
            store = VectorStore(connection, self._model)
            stored, held = set(await store.writes()), self._index.writes()
            await asyncio.to_thread(self._index.remove, list(held - stored))
            missing = sorted(stored - held)
            for start in range(0, len(missing), FETCHED):
                rows = await store.vectors(missing[start : start + FETCHED])
                entries = {
                    row["write"]: Entry(
                        row["message_id"], row["role"], row["conversation"], row["created_at"]
                    )
                    for row in rows
                }
                vectors = np.frombuffer(b"".join(row["vector"] for row in rows), dtype="<f4")
                await asyncio.to_thread(self._index.add, entries, vectors.reshape(-1, 1024))

    async def vector_of(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question. The stored messages of users are embedded in the same way."""
        return await self._question(text)

    async def find(self, query: Query) -> list[tuple[Message, float]]:
        """Returns messages with their cosines, best first.

        Messages that were deleted or changed since they were indexed are left out. If there were any, the
        index is updated and searched once more, so that others can take their places.
        """
        found, gone = await self._find_once(query)
        if gone:
            await self.follow()
            found, _ = await self._find_once(query)
        return found

    async def _find_once(self, query: Query) -> tuple[list[tuple[Message, float]], bool]:
        nearest = await asyncio.to_thread(self._index.nearest, query.vector, query.k, query.wanted)
        hits = [hit for hit in nearest if hit[2] >= query.min_score]
        async with self._sessions.reading() as session:
            store = MessageStore(session)
            current = await store.standing_writes([write for write, _, _ in hits])
            messages = await store.by_ids([message_id for _, message_id, _ in hits])
        found = [
            (messages[message_id], score)
            for write, message_id, score in hits
            if write in current and message_id in messages
        ]
        return found, len(found) < len(hits)
