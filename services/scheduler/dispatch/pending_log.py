"""Adds runs that stay pending to the log of changes, so that watchers see them.

Runs stay pending when the broker is away, or when the replica that recorded them has died. Dispatching itself
logs nothing when it records a run to publish: nearly every run is published some milliseconds later, and is
logged then. So this loop logs the batches that are not published after some seconds. Every replica runs it.
"""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.scheduler.dispatch.store_pending_log import PendingStore
from services.scheduler.pace import USUAL, Pace

# A batch that is unpublished at this age was not published in the usual way.
AGE = dt.timedelta(seconds=3)
# Ids are drawn before the commit, so lower ids may appear later. A dispatcher's transaction never takes so
# long, so below a batch of this age no more ids appear.
SETTLED = dt.timedelta(minutes=1)
AT_A_TIME = 1000


class Pending:
    """Logs unpublished batches; `loop` is the background loop that does so."""

    def __init__(self, database: Database, at_a_time: int = AT_A_TIME, pace: Pace = USUAL) -> None:
        self._database = database
        self._at_a_time = at_a_time
        # All batches up to this id are logged or published. So during a long outage, each look reads only
        # the batches of about the last minute.
        self._settled = 0
        self.loop = Loop(
            "pending",
            self.look,
            every=pace.pending_look,
            outlives=DATABASE_ERRORS,
            failed="pending.not_looked",
        )

    async def look(self) -> int:
        """Logs the unpublished batches that are not logged yet. Returns how many it logged."""
        count, after = 0, self._settled
        async with self._database.connection() as connection:
            store = PendingStore(connection)
            while late := await store.late(after, AGE, SETTLED, self._at_a_time):
                # Without batches nothing is executed: even an INSERT of no rows would notify the listeners.
                if unlogged := [batch.id for batch in late if not batch.logged]:
                    await store.log(unlogged)
                    count += len(unlogged)
                self._settled = max([self._settled, *(batch.id for batch in late if batch.settled)])
                after = late[-1].id
        return count
