"""The SQL of what workers were told to stop consuming, by a pause of a queue or by a halt of the system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.kernel.database import Connection
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.consuming import Consumer

# Workers that nobody has heard of since are forgotten so long after they were told to stop.
FORGOTTEN_DAYS = 7

ALL = """
    SELECT hostname, pid, queue, exchange, exchange_type, routing_key FROM celery_stopped_consumers AS stopped
"""
NOT_HELD = """
    NOT EXISTS (SELECT FROM celery_halt WHERE stopped_at IS NOT NULL)
    AND NOT EXISTS (SELECT FROM celery_paused_queues AS paused WHERE paused.queue = stopped.queue)
"""
BY_NAME = " ORDER BY queue, hostname, pid"
ADD = """
    INSERT INTO celery_stopped_consumers
        (hostname, pid, queue, exchange, exchange_type, routing_key, stopped_at)
    SELECT *, clock_timestamp()
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
    ON CONFLICT (queue, hostname, pid) DO UPDATE SET stopped_at = excluded.stopped_at
"""
DROP = """
    DELETE FROM celery_stopped_consumers WHERE (hostname, pid, queue) IN (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]))
"""
FORGET = f"""
    DELETE FROM celery_stopped_consumers AS stopped
    WHERE stopped_at < clock_timestamp() - make_interval(days => $1) AND {NOT_HELD}
"""


class StoppedStore:
    """Reads and writes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def free(self) -> Sequence[Consumer]:
        """Returns those that neither a pause nor a halt holds any more, by queue and name."""
        return await self._read(f"{ALL} WHERE {NOT_HELD} {BY_NAME}")

    async def of(self, queue: str) -> Sequence[Consumer]:
        """Returns those of a queue, held or not, by name."""
        return await self._read(f"{ALL} WHERE queue = $1 {BY_NAME}", queue)

    async def add(self, consumers: Iterable[Consumer]) -> None:
        rows = [(each.worker.hostname, each.worker.pid or 0, *each[1:]) for each in consumers]
        if rows:
            await self._connection.execute(ADD, *map(list, zip(*rows, strict=True)))

    async def drop(self, consumers: Iterable[Consumer]) -> None:
        rows = [(each.worker.hostname, each.worker.pid or 0, each.queue) for each in consumers]
        if rows:
            await self._connection.execute(DROP, *map(list, zip(*rows, strict=True)))

    async def forget_old(self) -> None:
        await self._connection.execute(FORGET, FORGOTTEN_DAYS)

    async def _read(self, statement: str, *values: str) -> Sequence[Consumer]:
        rows = await self._connection.fetch(statement, *values)
        return [Consumer(WorkerName(row[0], row[1]), *row[2:]) for row in map(tuple, rows)]
