"""Has runs told that stay pending, because the broker is away or the replica that recorded them has died.

Dispatching logs nothing when it records a run, as nearly every one is published some milliseconds later, and
told then. So what is not published after some seconds is logged here, apart from it; every replica does so.
"""

from __future__ import annotations

import datetime as dt

from services.kernel.database import DATABASE_ERRORS, Database
from services.kernel.loops import Loop
from services.scheduler.dispatch.store_unpublished import PendingStore
from services.scheduler.pace import USUAL, Pace

# By then a batch has not gone the usual way.
AGE = dt.timedelta(seconds=3)
# Ids are drawn before the commit, and a transaction of a dispatcher is over long before this.
SETTLED = dt.timedelta(minutes=1)
AT_A_TIME = 1000


class Pending:
    """Looks for as long as its loop runs."""

    def __init__(self, database: Database, at_a_time: int = AT_A_TIME, pace: Pace = USUAL) -> None:
        self._database = database
        self._at_a_time = at_a_time
        # All batches up to here are dealt with: of an outage of hours, each look is at the last minute of it.
        self._settled = 0
        self.loop = Loop(
            "pending",
            self.look,
            every=pace.pending_look,
            outlives=DATABASE_ERRORS,
            failed="pending.not_looked",
        )

    async def look(self) -> int:
        """Logs what is not published and was not logged; how many batches that were."""
        count, after = 0, self._settled
        async with self._database.connection() as connection:
            store = PendingStore(connection)
            while late := await store.late(after, AGE, SETTLED, self._at_a_time):
                # Nothing is inserted in vain: also of no rows, an INSERT wakes who listens.
                if unlogged := [batch.id for batch in late if not batch.logged]:
                    await store.log(unlogged)
                    count += len(unlogged)
                self._settled = max([self._settled, *(batch.id for batch in late if batch.settled)])
                after = late[-1].id
        return count
