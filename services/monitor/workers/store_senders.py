"""Which workers have sent events of tasks: the rows of tasks tell it, also of before a restart."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.monitor.tables import tasks
from services.monitor.tasks.names import WorkerName

c = tasks.c
# A task may have been sent so long before the worker took it; it bounds the part of the index that is read.
LONGEST_WAIT = dt.timedelta(days=1)


class SenderStore:
    """Reads in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def has_sent(self, worker: WorkerName, since: dt.datetime) -> bool:
        """Returns whether an event of a task came from this process that it made at that time or later."""
        of_process = (c.worker == worker.hostname) & (c.worker_pid == worker.pid)
        found = exists().where(of_process, c.worker_at >= since, c.heard_at >= since - LONGEST_WAIT)
        return bool(await self._session.scalar(select(found)))
