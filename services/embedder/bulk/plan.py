"""The bulk path: planned into chunks, sent, and sent again when a worker or the broker lost one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from services.embedder.bulk.chunk import Embed, Embedded, embed_passages
from services.embedder.bulk.operations import ChunkKey, Rebuild
from services.embedder.bulk.store_operations import OperationStore
from services.embedder.bulk.store_requests import RequestStore
from services.embedder.bulk.store_vectors import VectorStore
from services.embedder.pace import USUAL, Pace
from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.once import Once
from services.kernel.sessions import SESSION_ERRORS, Sessions

log = structlog.get_logger(__name__)

# Puts the chunks' messages on the queue; blocking.
Send = Callable[[Sequence[ChunkKey]], None]

# The database or the broker is away: the next round of healing finds what this one left.
FAULTS = (OperationalError, RedisError, *SESSION_ERRORS)

MOST_RESENT = 1000
# A text that kills its process must not go round for ever.
MOST_DEATHS = 5


class Rebuilds:
    """Begins rebuilds of one model's vectors, and keeps their chunks moving.

    `chunk_characters` gives how much text a chunk may have now.
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
        # Several replicas may run it.
        self.healing = Loop(
            "rebuild_healing", self.heal, every=pace.heal, outlives=FAULTS, failed="rebuild.heal_failed"
        )

    async def begin(self, wanted: Rebuild, once: Once | None = None) -> str:
        """The operation's id. Committed before it is sent: what is not sent, healing sends.

        A request that is sent again gets the operation that it began.
        """
        async with self._sessions.transaction() as session:
            requests = RequestStore(session)
            if once and (begun := await requests.operation_of(once)):
                return begun
            budget = self._chunk_characters()
            operation = await OperationStore(session).begin_rebuild(wanted, self._model, budget)
            if once:
                await requests.began(once, operation)
        async with self._sessions.reading() as session:
            waiting = await OperationStore(session).waiting(operation)
        await self._publish(waiting)
        log.info("rebuild.begun", operation=operation, chunks=len(waiting))
        return operation

    async def heal(self) -> int:
        """Sends chunks whose worker died, whose publisher died, or which the broker lost: how many."""
        async with self._sessions.transaction() as session:
            store = OperationStore(session)
            chunks = [*await store.orphaned(), *await store.unsent(MOST_RESENT)]
            for operation in await store.complete():
                await store.end_if_done(operation)
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
            await OperationStore(session).mark_sent(chunks)


async def embed_chunk(
    database: Database, sessions: Sessions, model: str, embed: Embed, chunk: ChunkKey
) -> None:
    """One chunk, whole or not at all. Doubled, it changes nothing."""
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
    async with sessions.transaction() as session:
        await OperationStore(session).end_if_done(chunk.operation_id)
    log.info("chunk.done", operation=chunk.operation_id, number=chunk.number, failed=len(embedded.failed))
