"""Our scheduler, measured: its own process on the given servers, with schedules put into its table."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio

from benchmarks.scheduler import rows, sql
from benchmarks.scheduler.measuring import LOOK_SECONDS, cpu_seconds, reaches, resident_mb, until
from benchmarks.scheduler.watcher import watching
from benchmarks.servers import Servers, ServiceProcess, Valkey, environment_of, migrate
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer

# Between the last preparation and the first due time: the clock starts with nothing else going on.
SETTLE_SECONDS = 2.0
REST = dt.timedelta(hours=2)


class Scheduler:
    """One database and broker with one scheduler."""

    def __init__(self, servers: Servers, state: Path) -> None:
        self._servers = servers
        self._state = state
        self.tokens = LocalIssuer(state)
        broker = Valkey(state, servers.redis_port, servers.redis_host)
        self.environment = environment_of("scheduler", state, servers.database_url, broker)

    @contextlib.contextmanager
    def process(self) -> Iterator[tuple[ServiceProcess, int]]:
        """A running scheduler, and its process id."""
        process = ServiceProcess("scheduler", self._state, self.environment)
        try:
            process.start()
            assert process.process is not None
            yield process, process.process.pid
        finally:
            process.stop()

    async def drain(self, count: int, replicas: int) -> float:
        """Runs a second: `count` schedules due at one moment, from then until all are published and recorded.

        "All" is seen in both: as many messages on the queue, as many runs in the state `published`.
        """
        with contextlib.ExitStack() as processes:
            for _ in range(replicas):
                processes.enter_context(self.process())
            return await self._drained(count)

    async def watched_drain(self, count: int, replicas: int) -> float:
        """`drain`, while a client reads WatchSchedules, which tells all runs or how many are left out."""
        with contextlib.ExitStack() as processes:
            started = [processes.enter_context(self.process()) for _ in range(replicas)]
            process, _ = started[0]
            watcher = processes.enter_context(watching(process, self.tokens.mint("viewer")))
            rate = await self._drained(count)

            async def told() -> int:
                return watcher.runs

            await reaches(count, told)
            return rate

    async def _drained(self, count: int) -> float:
        moment = await self._insert_due(count)
        async with self.database() as database, self.broker() as broker:
            await until(moment)
            start = asyncio.get_running_loop().time()
            await reaches(count, lambda: broker.llen(rows.QUEUE))
            await reaches(count, lambda: database.fetchval(sql.PUBLISHED))
            return count / (asyncio.get_running_loop().time() - start)

    async def queued(self, count: int) -> float:
        """Seconds from the due time of `count` schedules to the last of their messages on the queue.

        So are the peers counted, who record nothing: what is recorded after the message isn't waited for.
        """
        with self.process():
            moment = await self._insert_due(count)
            async with self.broker() as broker:
                await until(moment)
                await reaches(count, lambda: broker.llen(rows.QUEUE), LOOK_SECONDS)
                return (dt.datetime.now(dt.UTC) - moment).total_seconds()

    async def lateness(self, rate: int, seconds: float) -> float:
        """The 99th percentile, in seconds, of: due time to recorded as published, at a steady rate."""
        count = int(rate * seconds)
        with self.process():
            moment = await self._insert_due(count, seconds)
            async with self.database() as database:
                await until(moment + dt.timedelta(seconds=seconds))
                await reaches(count, lambda: database.fetchval(sql.PUBLISHED))
                return float(await database.fetchval(sql.LATENESS, [0.99]))

    async def idle(self, pid: int, seconds: float) -> tuple[float, float]:
        """(share of one core in percent, resident MB) of a scheduler that has nothing to do."""
        await asyncio.sleep(SETTLE_SECONDS)
        before = cpu_seconds(pid)
        await asyncio.sleep(seconds)
        return (cpu_seconds(pid) - before) / seconds * 100, resident_mb(pid)

    async def messages(self) -> list[Mapping[str, Any]]:
        async with self.broker() as broker:
            return [json.loads(message) for message in await broker.lrange(rows.QUEUE, 0, -1)]

    async def insert(self, records: Iterable[rows.Row]) -> None:
        """Replaces all schedules, and empties the queue."""
        async with self.broker() as broker:
            await broker.flushdb()
        async with self.database() as database:
            await database.execute(sql.EMPTY)
            await database.copy_records_to_table(sql.SCHEDULES, records=records, columns=rows.COLUMNS)
            await database.execute(f"VACUUM ANALYZE {sql.SCHEDULES}")
            await database.execute("CHECKPOINT")

    async def insert_resting(self, count: int) -> None:
        """`count` new schedules of which none is due soon."""
        await self.insert(rows.due_from(dt.datetime.now(dt.UTC) + REST, count, dt.timedelta(0)))

    async def _insert_due(self, count: int, spread_seconds: float = 0.0) -> dt.datetime:
        """`count` new schedules; gives the first due time, which is yet to come."""
        # Long enough for the rows to be there, and the machine quiet again, before the first is due.
        wait = SETTLE_SECONDS + 1 + count / 12_500
        first = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait)
        await self.insert(rows.due_from(first, count, dt.timedelta(seconds=spread_seconds / count)))
        return first

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        connection = await asyncpg.connect(self._servers.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    def broker(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(host=self._servers.redis_host, port=self._servers.redis_port)


@contextlib.contextmanager
def prepared(servers: Servers) -> Iterator[Scheduler]:
    """A migrated database, certificates and keys, for as long as the benchmark runs."""
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder:
        state = Path(folder)
        ensure_certificates(state)
        scheduler = Scheduler(servers, state)
        scheduler.tokens.ensure_key()
        migrate("scheduler", scheduler.environment)
        yield scheduler
