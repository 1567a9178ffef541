"""Rebuilds of vectors: plans chunks, sends them, and sends those again that a worker or the broker lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import kombu.exceptions
import redis.exceptions
import structlog

from services.embedder.bulk.chunk import Embed, Embedded, embed_passages
from services.embedder.bulk.rebuild import ChunkKey, Rebuild
from services.embedder.bulk.store_chunks import ChunkStore
from services.embedder.bulk.store_vectors import VectorStore
from services.embedder.pace import USUAL, Pace
from services.embedder.store_requests import RequestStore
from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.once import Once
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions

log = structlog.get_logger(__name__)

# Puts the messages of chunks on the queue. It blocks, so it is called in a thread.
Send = Callable[[Sequence[ChunkKey]], None]

# Exceptions that healing outlives: the database or the broker is away. The next round does what is left.
FAULTS = (*DATABASE_ERRORS, kombu.exceptions.OperationalError, redis.exceptions.RedisError)

MOST_RESENT = 1000
# After so many deaths of workers a chunk is given up, because one of its texts may kill every worker.
MOST_DEATHS = 5


class Rebuilds:
    """Begins rebuilds of one model's vectors, and sends lost chunks again.

    `chunk_characters` returns the current limit of the text in a chunk.
    """

    def __init__(
        self,
        sessions: Sessions,
        model: str,
        send: Send,
        chunk_characters: Callable[[], int],
        pace: Pace = USUAL,
    ) -> None:
        self._sessions = sessions
        self._model = model
        self._send = send
        self._chunk_characters = chunk_characters
        # Several replicas may run it at the same time.
        self.healing = Loop(
            "rebuild_healing", self.heal, every=pace.heal, outlives=FAULTS, failed="rebuild.heal_failed"
        )

    async def begin(self, wanted: Rebuild, actor: str, once: Once | None = None) -> str:
        """Begins a rebuild that `actor` asked for, and returns the id of its operation.

        The chunks are sent after the commit; healing sends those that could not be sent. A repeated request
        (`once`) gets the operation that it began the first time.
        """
        async with self._sessions.transaction() as session:
            requests = RequestStore(session)
            if once and (begun := await requests.operation_of(once)):
                return begun
            budget = self._chunk_characters()
            operation = await ChunkStore(session).begin_rebuild(wanted, self._model, budget, actor)
            if once:
                await requests.began(once, operation)
        async with self._sessions.reading() as session:
            waiting = await ChunkStore(session).waiting(operation)
        await self._publish(waiting)
        log.info("rebuild.begun", operation=operation, chunks=len(waiting))
        return operation

    async def heal(self) -> int:
        """Sends chunks again whose worker or publisher died, or which the broker lost. Returns how many."""
        async with self._sessions.transaction() as session:
            store = ChunkStore(session)
            chunks = [*await store.orphaned(), *await store.unsent(MOST_RESENT)]
        chunks = list(dict.fromkeys(chunks))
        await self._publish(chunks)
        if chunks:
            log.warning("rebuild.chunks_sent_again", count=len(chunks))
        return len(chunks)

    async def _publish(self, chunks: Sequence[ChunkKey]) -> None:
        if not chunks:
            return
        await asyncio.to_thread(self._send, chunks)
        async with self._sessions.transaction() as session:
            await ChunkStore(session).mark_sent(chunks)


async def embed_chunk(database: Database, model: str, embed: Embed, chunk: ChunkKey) -> None:
    """Embeds one chunk, completely or not at all. To do so twice has the same result as once."""
    async with database.connection() as connection:
        store = VectorStore(connection, model)
        async with store.taken(chunk) as taken:
            if taken is None:
                log.info("chunk.skipped", operation=chunk.operation_id, number=chunk.number)
                return
            passages = await store.passages(taken.ids)
            if taken.deaths < MOST_DEATHS:
                embedded = await asyncio.to_thread(embed_passages, embed, passages)
            else:
                error = f"{taken.deaths} workers died while they embedded the chunk with this text"
                embedded = Embedded(failed=[(passage, error) for passage in passages])
            await store.finish(chunk, embedded)
    log.info("chunk.done", operation=chunk.operation_id, number=chunk.number, failed=len(embedded.failed))
