"""The scheduler's rate, lateness and idle cost: its own process, on the given servers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import redis.asyncio

from benchmarks.servers import Servers, ServiceProcess, Valkey, environment_of, migrate
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer

ZONE = ZoneInfo("Asia/Taipei")
QUEUE, TASK = "bench", "bench.count"
# fmt: off
COLUMNS = (
    "id", "task", "args_json", "kwargs_json", "queue", "priority", "headers", "crontab", "interval_seconds",
    "anchor", "time_zone", "description", "labels", "paused", "pause_note", "next_run_at",
)
# fmt: on
# Between the last preparation and the first due time: the clock starts with nothing else going on.
SETTLE_SECONDS = 2.0
MOST_SECONDS = 120.0
PUBLISHED = "SELECT count(*) FROM celery_schedule_runs_seen WHERE state = 'published'"


class Scheduler:
    """One database and broker with one scheduler."""

    def __init__(self, servers: Servers, state: Path) -> None:
        self._servers = servers
        self._state = state
        broker = Valkey(state, servers.redis_port, servers.redis_host)
        self.environment = environment_of("scheduler", state, servers.database_url, broker)

    @contextlib.contextmanager
    def process(self) -> Iterator[ServiceProcess]:
        process = ServiceProcess("scheduler", self._state, self.environment)
        process.start()
        try:
            yield process
        finally:
            process.stop()

    async def drain(self, count: int) -> float:
        """Runs a second: `count` schedules due at one moment, from then until all are published and recorded.

        "All" is seen in both: as many messages on the queue, as many runs in the state `published`.
        """
        with self.process():
            moment = await self._insert(count, SETTLE_SECONDS)
            async with self._database() as database, self._broker() as broker:
                await _until(moment)
                start = time.monotonic()
                await _reaches(count, lambda: broker.llen(QUEUE))
                await _reaches(count, lambda: database.fetchval(PUBLISHED))
                return count / (time.monotonic() - start)

    async def lateness(self, rate: int, seconds: float) -> float:
        """The 99th percentile, in seconds, of: due time to recorded as published, at a steady rate."""
        count = int(rate * seconds)
        with self.process():
            moment = await self._insert(count, SETTLE_SECONDS, seconds)
            async with self._database() as database:
                await _until(moment + dt.timedelta(seconds=seconds))
                await _reaches(count, lambda: database.fetchval(PUBLISHED))
                return float(
                    await database.fetchval(
                        "SELECT extract(epoch FROM percentile_disc(0.99) WITHIN GROUP"
                        " (ORDER BY published_at - due_at)) FROM celery_schedule_runs_seen"
                    )
                )

    async def idle(self, count: int, seconds: float) -> tuple[float, float]:
        """(share of one core in percent, resident MiB) with `count` schedules, none due."""
        with self.process() as running:
            await self._insert(count, 7200.0)
            assert running.process is not None
            await asyncio.sleep(SETTLE_SECONDS)
            before = _cpu_seconds(running.process.pid)
            await asyncio.sleep(seconds)
            share = (_cpu_seconds(running.process.pid) - before) / seconds * 100
            return share, _resident_mebibytes(running.process.pid)

    async def messages(self) -> list[Mapping[str, Any]]:
        async with self._broker() as broker:
            return [json.loads(message) for message in await broker.lrange(QUEUE, 0, -1)]

    async def _insert(self, count: int, wait: float, spread_seconds: float = 0.0) -> dt.datetime:
        """Replaces all schedules by `count` new ones; gives the first due time, which is yet to come."""
        async with self._broker() as broker:
            await broker.flushdb()
        async with self._database() as database:
            await database.execute("TRUNCATE celery_schedules, celery_schedule_runs, celery_schedule_batches")
            # Long enough for the rows to be there, and the machine quiet again, before the first is due.
            wait += 1 + count / 12_500
            first: dt.datetime = await database.fetchval(
                "SELECT clock_timestamp() + $1::interval", dt.timedelta(seconds=wait)
            )
            each = dt.timedelta(seconds=spread_seconds / count)
            records = [_row(number, first + number * each) for number in range(count)]
            await database.copy_records_to_table("celery_schedules", records=records, columns=COLUMNS)
            await database.execute("VACUUM ANALYZE celery_schedules")
            await database.execute("CHECKPOINT")
        return first

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        connection = await asyncpg.connect(self._servers.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    def _broker(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(host=self._servers.redis_host, port=self._servers.redis_port)


@contextlib.contextmanager
def prepared(servers: Servers) -> Iterator[Scheduler]:
    """A migrated database, certificates and keys, for as long as the benchmark runs."""
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder:
        state = Path(folder)
        ensure_certificates(state)
        LocalIssuer(state).ensure_key()
        scheduler = Scheduler(servers, state)
        migrate("scheduler", scheduler.environment)
        yield scheduler


def _row(number: int, due: dt.datetime) -> tuple[object, ...]:
    """All differ in their arguments; each second one is a crontab, the others are intervals."""
    # None comes again while the benchmark lasts.
    hour = (due.astimezone(ZONE).hour + 2 + number // 60 % 20) % 24
    crontab = f"{number % 60} {hour} * * *" if number % 2 else None
    interval, anchor = (None, None) if crontab else (3600, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    timing = (crontab, interval, anchor, ZONE.key)
    arguments = ("[]", f'{{"number": {number}}}')
    return (f"s-{number}", TASK, *arguments, QUEUE, 0, "{}", *timing, "", "{}", False, "", due)


async def _reaches(count: int, counted: Callable[[], Awaitable[int]]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while (found := await counted()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found} of {count} in {MOST_SECONDS} s")
        await asyncio.sleep(0.02)


async def _until(moment: dt.datetime) -> None:
    wait = (moment - dt.datetime.now(dt.UTC)).total_seconds()
    if wait < 0:
        raise RuntimeError("the machine is too slow: the due time passed before its schedule was there")
    await asyncio.sleep(wait)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mebibytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
