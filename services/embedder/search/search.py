"""Search by meaning: an index that follows the table of vectors, and confirms its results there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import Message, MessageFilter
from services.embedder.messages.store_messages import MessageStore
from services.embedder.search.index import VectorIndex
from services.kernel.sessions import Sessions

# So often a search is done again when something of what it found is gone. After each time the index is
# without that, so a second time already means that deletions go on meanwhile.
ATTEMPTS = 5

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

    def __init__(self, sessions: Sessions, index: VectorIndex, question: Question) -> None:
        self._sessions = sessions
        self._index = index
        self._question = question

    async def vector_of(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question. The stored messages of users are embedded in the same way."""
        return await self._question(text)

    async def find(self, query: Query) -> list[tuple[Message, float]]:
        """Returns messages with their cosines, best first.

        Messages that were deleted or changed since they were indexed are left out. If there were any, they
        are removed from the index, and it is searched again, so that others can take their places.
        """
        found: list[tuple[Message, float]] = []
        for _ in range(ATTEMPTS):
            found, gone = await self._find_once(query)
            if not gone:
                break
            await asyncio.to_thread(self._index.remove, gone)
        return found

    async def _find_once(self, query: Query) -> tuple[list[tuple[Message, float]], list[int]]:
        nearest = await asyncio.to_thread(self._index.nearest, query.vector, query.k, query.wanted)
        hits = [hit for hit in nearest if hit[1] >= query.min_score]
        if not hits:
            return [], []
        async with self._sessions.reading() as session:
            messages = await MessageStore(session).by_writes([write for write, _ in hits])
        found = [(messages[write], score) for write, score in hits if write in messages]
        return found, [write for write, _ in hits if write not in messages]
