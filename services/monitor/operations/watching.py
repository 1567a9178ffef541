"""Distributes changes of operations to the readers of WatchOperations. They are read once for all readers.

1. A reader joins at the next look: it is handed what changes after that.
2. One that resumes from a cursor is first told what changed between its cursor and now.
3. Each look reads the operations that changed since the last one, in their present state, and those whose
   owner was lost since then. A notification wakes the loop.

A cursor is a snapshot (services.kernel.snapshots). All operations that one look found, but the last, are sent
with the cursor of the look before: a reader that resumes between them gets some again, and misses none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition, FieldFault, Invalid, Unavailable
from services.kernel.loops import UNTIL_WOKEN, Again, Backoff, Loop
from services.kernel.operations import Operation
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.pages import decode_page_token, encode_page_token
from services.kernel.readers import Audience, JoiningReader, Skipped
from services.kernel.sessions import Sessions
from services.kernel.snapshots import Snapshot
from services.monitor.operations.store_operations import Head, OperationFilter, OperationStore
from services.monitor.pace import USUAL, Pace

Message = TypeVar("Message")

CHANNEL = "celery_operations"
# The most changes that a reader which resumes is told. After more of them its cursor counts as expired.
MOST_MISSED = 5000
# Commits that come within this time are read together.
COALESCE_SECONDS = 0.05


class Cursor(NamedTuple):
    """All changes visible in the snapshot `seen` of the database `origin` were sent."""

    origin: str
    seen: Snapshot

    def encode(self) -> str:
        return encode_page_token({"origin": self.origin, "seen": str(self.seen)})


def decode_cursor(told: str) -> Cursor | None:
    """Returns None for an empty text. Raises `Invalid` for a text that no message could have contained."""
    if not told:
        return None
    try:
        position = decode_page_token(told)
        origin = position.get("origin")
        if isinstance(origin, str):
            return Cursor(origin, Snapshot.parse(position.get("seen")))
    except (Invalid, ValueError):
        pass
    example = "the cursor of the last message, or empty"
    raise Invalid([FieldFault("cursor", "is not one that a message had", example)])


def expired() -> FailedPrecondition:
    return FailedPrecondition(
        "CURSOR_EXPIRED",
        "what came after the cursor can't be told any more; watch without a cursor, and when the first"
        " message has come, list operations",
    )


# Makes a message of an operation (None: a message with a cursor alone), the cursor after it, and the number
# of changes that were left out before it.
Tell = Callable[[Operation | None, Cursor, int], Message]

Reader = JoiningReader[Message, OperationFilter, Cursor]


class Watching(Generic[Message]):
    """All readers of WatchOperations in this process. While there are none, nothing is read."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        tell: Tell[Message],
        pace: Pace = USUAL,
        buffer: int = 1000,
    ) -> None:
        """`buffer`: the most changes that may wait for a reader."""
        self._database = database
        self._sessions = sessions
        self._tell = tell
        self._pace = pace
        self._audience: Audience[Reader[Message], OperationFilter, Cursor] = Audience(
            lambda wanted: Reader[Message](wanted, buffer)
        )
        # All changes up to this cursor were handed to the readers; None: there were no readers until now.
        self._cursor: Cursor | None = None
        # The ids of operations whose owner was lost at the last look.
        self._lost: frozenset[str] = frozenset()
        self.loop = Loop(
            "watch_operations",
            self._follow_if_watched,
            every=0,
            outlives=DATABASE_ERRORS,
            failed="operations.watch_failed",
            retry=Backoff(pace.operations_retry, pace.operations_retry),
            woken=self._audience.woken,
        )

    async def watch(self, wanted: OperationFilter, cursor: Cursor | None) -> AsyncGenerator[Message, None]:
        """Yields what changes after the cursor (None: from now on), without end; the first message at once.

        Raises `FailedPrecondition` when what came after the cursor can't be told, and `Unavailable` when the
        database fails meanwhile.
        """
        async with self._audience.joined(wanted) as (reader, start):
            missed = await self._missed(cursor) if cursor else []
            yield self._tell(None, cursor or start, 0)
            found = [operation for operation in missed if wanted.matches(operation)]
            for operation in found:
                last = operation is found[-1]
                yield self._tell(operation, start if last or cursor is None else cursor, 0)
            while True:
                news = await reader.next(self._pace.watch_life)
                match news:
                    case None:
                        # Nothing waits, so the reader has got everything up to this cursor.
                        yield self._tell(None, self._cursor or start, 0)
                    case Skipped(count):
                        yield self._tell(None, self._cursor or start, count)
                    case _:
                        yield news

    async def _missed(self, cursor: Cursor) -> list[Operation]:
        """Returns what changed after the cursor, and all operations whose owner is lost by now."""
        async with self._sessions.reading() as session:
            store = OperationStore(session)
            head = await store.head()
            if cursor.origin != head.origin or cursor.seen.xmax > head.now.xmax:
                raise expired()
            changed = await store.unseen(cursor.seen, MOST_MISSED + 1)
            if len(changed) > MOST_MISSED:
                raise expired()
            return _with_lost(changed, await store.lost())

    async def _follow_if_watched(self) -> Again:
        try:
            if self._audience:
                await self._follow()
        except* DATABASE_ERRORS:
            self._audience.fail(Unavailable("the database"))
            raise
        return UNTIL_WOKEN

    async def _follow(self) -> None:
        """Looks at each notice, and once in `operations_follow` seconds, while there are readers."""
        self._cursor = None
        async with self._database.listening(CHANNEL) as notices, asyncio.TaskGroup() as group:
            waker = group.create_task(self._audience.wake_by(notices))
            while self._audience:
                self._audience.woken.clear()
                await self._look()
                self.loop.heartbeat.succeeded()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.operations_follow):
                        await self._audience.woken.wait()
                await asyncio.sleep(COALESCE_SECONDS)
            waker.cancel()

    async def _look(self) -> None:
        """Hands new changes to the readers, then lets those join that were waiting when it began."""
        joining, before = list(self._audience.joining), self._cursor
        async with self._sessions.reading() as session:
            store = OperationStore(session)
            head = await store.head()
            lost = await store.lost()
            changed = await store.unseen(before.seen) if before else []
        if before is not None and before.origin != head.origin:
            # The database is another than it was: a failover that the connections survived.
            self._audience.fail(expired())
            return
        newly = [operation for operation in lost if operation.id not in self._lost]
        self._lost = frozenset(operation.id for operation in lost)
        self._cursor = _cursor_at(head)
        if before is not None:
            self._hand_on(_with_lost(changed, newly), before, self._cursor)
        for reader in joining:
            self._audience.admit(reader, self._cursor)

    def _hand_on(self, changed: Sequence[Operation], before: Cursor, after: Cursor) -> None:
        for operation in changed:
            message: Message | None = None
            for reader in self._audience.readers:
                if not reader.wanted.matches(operation):
                    continue
                if not reader.has_room:
                    reader.skip()
                    continue
                if message is None:
                    message = self._tell(operation, after if operation is changed[-1] else before, 0)
                reader.put(message)


def _cursor_at(head: Head) -> Cursor:
    return Cursor(head.origin, head.now)


def _with_lost(changed: Sequence[Operation], lost: Sequence[Operation]) -> list[Operation]:
    """Returns the changed operations, and those of the lost ones that are not among them."""
    told = {operation.id for operation in changed}
    return [*changed, *(operation for operation in lost if operation.id not in told)]
