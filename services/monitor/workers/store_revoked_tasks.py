"""The SQL of revocations, which are kept until their tasks have ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, case, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.monitor.tables import revoked_tasks, tasks
from services.monitor.tasks.tasks import ENDED_FOR_GOOD

c = revoked_tasks.c
# So many are told to a worker at most, the newest: a worker looks each of them up in its result backend.
MOST = 10_000
# So many are written by one statement.
AT_ONCE = 1_000


@dataclass(frozen=True)
class RevokedTask:
    """A task that is not to run. With `terminate`, a worker that runs it has to kill it with `signal`."""

    task_id: str
    terminate: bool
    signal: str


class RevokedTaskStore:
    """Reads and writes in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remember(self, task: RevokedTask, now: dt.datetime, until: dt.datetime) -> None:
        """Keeps a revocation until `until`, beside what was said of the task before."""
        await self.remember_several([task], now, [until])

    async def remember_several(
        self, revoked: Sequence[RevokedTask], now: dt.datetime, until: Sequence[dt.datetime]
    ) -> None:
        """The same for several tasks, at most `AT_ONCE`, each with its own `until`."""
        new = insert(revoked_tasks).values(
            [
                {
                    "task_id": task.task_id,
                    "terminate": task.terminate,
                    "signal": task.signal,
                    "revoked_at": now,
                    "expires_at": expires,
                }
                for task, expires in zip(revoked, until, strict=True)
            ]
        )
        await self._session.execute(
            new.on_conflict_do_update(
                index_elements=[c.task_id],
                set_={
                    "terminate": or_(c.terminate, new.excluded.terminate),
                    "signal": case((new.excluded.terminate, new.excluded.signal), else_=c.signal),
                    "revoked_at": new.excluded.revoked_at,
                    "expires_at": func.greatest(c.expires_at, new.excluded.expires_at),
                },
            )
        )

    async def that_hold(self, now: dt.datetime) -> Sequence[RevokedTask]:
        """Returns those of tasks that may still run, the oldest first; forgets the others."""
        states = sorted(state.value for state in ENDED_FOR_GOOD)
        # A task that was sent again under its id, and runs, has not ended.
        ended = exists().where(and_(tasks.c.id == c.task_id, tasks.c.state.in_(states)))
        await self._session.execute(delete(revoked_tasks).where(or_(c.expires_at <= now, ended)))
        newest = select(c.task_id, c.terminate, c.signal).order_by(c.revoked_at.desc()).limit(MOST)
        rows = (await self._session.execute(newest)).all()
        return [RevokedTask(row.task_id, row.terminate, row.signal) for row in reversed(rows)]
