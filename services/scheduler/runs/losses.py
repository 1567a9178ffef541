"""Finds the runs whose messages were lost with the broker's data. Runs on one replica at a time.

The broker keeps an identity with its data. When its identity has changed, its data is gone, and with it every
message that no worker had received. A run counts as lost when all of this is true:

1. it was published before the loss, and its outcome is not known;
2. the broker has neither the mark of its batch nor its message;
3. the monitor has not heard of a worker that received it. While the monitor is away, nothing is decided.

A broker that loses only its last second (append-only file, synced each second), or that is restored from an
older copy of its data, keeps its identity: such losses are not found.
"""

from __future__ import annotations

import datetime as dt

import structlog

from services.kernel.celery_publisher import RECORDED_MARK_SECONDS
from services.kernel.database import Database
from services.kernel.leases import Lease
from services.kernel.loops import Loop
from services.scheduler.dispatch.delivery import FAULTS
from services.scheduler.pace import USUAL, Pace
from services.scheduler.runs.broker_data import BrokerData
from services.scheduler.runs.monitor_client import MOST_AT_ONCE, NOT_TAKEN, Monitor, MonitorAway
from services.scheduler.runs.store_losses import LossStore, Unheard
from services.scheduler.runs.store_outcomes import OutcomeStore
from services.scheduler.schedule.store_base import LEASES

log = structlog.get_logger(__name__)

# Runs that were recorded longer than this before the broker was last seen are not examined.
LOOK_BACK = dt.timedelta(days=2)
# For so long after the loss, the mark of every batch that was published since is still on the broker.
MARKS_LAST = dt.timedelta(seconds=RECORDED_MARK_SECONDS - 60)
MARKED = "; lost: the broker lost its data at about {:%Y-%m-%d %H:%M:%S}Z, and no worker was heard to have it"
AGAIN = "; sent again: the broker lost its data at about {:%Y-%m-%d %H:%M:%S}Z"


class Losses:
    """Looks for losses in a background loop."""

    def __init__(self, database: Database, broker: BrokerData, monitor: Monitor, pace: Pace = USUAL) -> None:
        self._database = database
        self._broker = broker
        self._monitor = monitor
        self._lease = Lease(database, LEASES, "losses", pace)
        self.loop = Loop(
            "losses",
            self._look_if_mine,
            every=pace.losses_look,
            outlives=(*FAULTS, MonitorAway),
            failed="losses.failed",
        )

    async def _look_if_mine(self) -> None:
        if await self._lease.hold():
            await self.look()

    async def look(self) -> int:
        """Marks lost runs, or has them sent again, if the broker's identity has changed. Returns how many.

        Raises `MonitorAway`, and errors of the broker and the database.
        """
        identity = await self._broker.identity()
        async with self._database.connection() as connection:
            store = LossStore(connection)
            seen_at, lost_at = await store.known(identity)
            if lost_at is None:
                return 0
            log.warning("broker.lost_its_data", last_seen=seen_at, lost_at=lost_at)
            # A batch published since `seen_at` may be on the old broker or on the new one. While marks last,
            # its mark tells which; after that, only batches published before `seen_at` are examined.
            now = await store.now()
            marks_tell = now - lost_at < MARKS_LAST
            recorded, published = (lost_at, None) if marks_tell else (seen_at, seen_at)
            # A batch that is not yet recorded as published may have been pushed to the broker that is gone.
            # Then the loss is not settled, and the next look examines that batch.
            more_to_come = marks_tell and await store.on_the_way(lost_at)
            count, queues = 0, _Queues(self._broker)
            [after] = await OutcomeStore(connection).last_batches([now - seen_at + LOOK_BACK])
            while runs := await store.unheard(after, recorded, published, MOST_AT_ONCE):
                after = runs[-1].batch.id
                lost = await self._lost(runs, queues)
                if lost:
                    await store.lost(lost, MARKED.format(lost_at), AGAIN.format(lost_at))
                count += len(lost)
            if not more_to_come:
                await store.settled(identity)
        log.warning("broker.losses_marked", runs=count, settled=not more_to_come)
        return count

    async def _lost(self, runs: list[Unheard], queues: _Queues) -> list[Unheard]:
        there = await self._broker.marked(list({run.batch.mark for run in runs}))
        gone = [run for run in runs if run.batch.mark not in there]
        queued = await queues.tasks({(run.queue, run.priority) for run in gone})
        gone = [run for run in gone if run.task_id not in queued]
        taken: set[str] = set()
        task_ids = [run.task_id for run in gone]
        for start in range(0, len(gone), MOST_AT_ONCE):
            heard = await self._monitor.heard_of(task_ids[start : start + MOST_AT_ONCE])
            taken |= {task_id for task_id, each in heard.items() if each.state not in NOT_TAKEN}
        return [run for run in gone if run.task_id not in taken]


class _Queues:
    """The task ids in queues. Each queue is read once."""

    def __init__(self, broker: BrokerData) -> None:
        self._broker = broker
        self._read: set[tuple[str, int]] = set()
        self._tasks: set[str] = set()

    async def tasks(self, queues: set[tuple[str, int]]) -> set[str]:
        if unread := queues - self._read:
            self._tasks |= await self._broker.queued(unread)
            self._read |= unread
        return self._tasks
