"""Of several monitors one writes: rows of tasks, totals, gaps, and what is found out about tasks.

All read the same events, for their live views, and keep what they would have to write. The one that holds the
lease writes; with each writing it notes up to which place in the events rows and totals are written, in the
same transaction. The others look at that place, and drop what is before it. So one of them goes on exactly
there when the writer is gone. A writer that was paused and comes back has lost its reign: its transaction
does not commit.
"""

from __future__ import annotations

import time

import structlog

from services.kernel.database import Connection, Database
from services.kernel.leases import Lease
from services.monitor.pace import USUAL, Pace
from services.monitor.totals.ledger import Ledger, Position
from services.monitor.totals.store_totals import LEASES, WRITER, TotalsStore, Written
from services.monitor.totals.totals import Totals

log = structlog.get_logger(__name__)


class Writership:
    """Whether this monitor writes, and its part of the transactions in which it does."""

    def __init__(self, database: Database, totals: Totals, ledger: Ledger, pace: Pace = USUAL) -> None:
        self._lease = Lease(database, LEASES, WRITER, pace)
        self._totals = totals
        self._ledger = ledger
        self._idle_seconds = pace.lease_renewal
        self._epoch = 0
        self._commits = 0
        # Noted last, and the position that a commit of which nothing is known would have counted to.
        self._noted = ""
        self._trying: Position | None = None
        self.writes = False
        self._committed_at = float("-inf")

    async def look(self, connection: Connection) -> Written | None:
        """Takes or renews the lease. Returns the place if it was read: by all but the writer at work."""
        held = await self._lease.hold()
        if held and self.writes and self._epoch == self._lease.epoch and self._trying is None:
            return None
        place = await TotalsStore(connection).place()
        if held and self.writes and self._epoch == self._lease.epoch:
            self._settle_last_commit(place)
        else:
            self._begin_or_end(held)
            self._ledger.settle(place.counted_to)
        self._commits, self._noted = place.commits, place.written_to
        if held:
            await self._totals.read()
        return place

    def _begin_or_end(self, held: bool) -> None:
        if self.writes:
            self.lost()
        if held:
            log.info("writing.begins", epoch=self._lease.epoch)
        self.writes, self._epoch, self._trying = held, self._lease.epoch, None

    def _settle_last_commit(self, place: Written) -> None:
        """Finds out what became of a commit whose answer did not come."""
        if self._trying is not None and place.commits != self._commits:
            self._ledger.written(self._trying)
        self._trying = None

    def lost(self) -> None:
        """Takes in that another monitor writes."""
        log.info("writing.ends", epoch=self._epoch)
        self.writes = False
        self._ledger.drop_besides()

    @property
    def has_news(self) -> bool:
        """Whether totals have changed that are not written yet, and it is time to write them without rows."""
        return self._ledger.has_news and time.monotonic() - self._committed_at >= self._idle_seconds

    async def commit(self, connection: Connection, written_to: str) -> None:
        """The last statements of a transaction that writes rows: adds to totals, and notes the places.

        Raises `LeaseLost` if another monitor writes: then nothing of the transaction may be committed.
        """
        tally, position = self._ledger.unsettled()
        self._trying = position
        moved = written_to if written_to != self._noted else None
        await self._lease.fence(connection)
        await TotalsStore(connection).add(self._totals.bounded(tally), position, moved)

    async def fence(self, connection: Connection) -> None:
        """The same for a transaction of rows alone."""
        await self._lease.fence(connection)

    def committed(self, written_to: str) -> None:
        """Takes in that the transaction with `commit` is committed."""
        assert self._trying is not None
        self._ledger.written(self._trying)
        self._trying, self._noted = None, written_to
        self._commits += 1
        self._committed_at = time.monotonic()

    async def release(self) -> None:
        """Lets another monitor write at once."""
        if self.writes:
            self.writes = False
            await self._lease.release()
