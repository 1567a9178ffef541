"""Steps of backfills that fail, by our own code or by what is away: the others go on, and the gauge tells."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from services.kernel.database import Database
from services.scheduler.backfill import backfiller
from services.scheduler.backfill.backfiller import Backfills
from services.scheduler.backfill.store_backfills import BackfillingStore
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.due_times import IntervalTiming
from tests.support.dispatchers import delivery_to, sent
from tests.support.servers import Valkey

BEGIN = """
    INSERT INTO celery_schedule_backfills
        (id, schedule_id, start_at, end_at, newest_first, rate, actor, due_at, run_count)
    VALUES ($1, $2, $3, $4, false, 100, 'mei', $5, 1)
"""


async def begun(database: Database, *names: str) -> None:
    """Schedules, each with a backfill of one run that is due to be sent."""
    due = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    timing = IntervalTiming(dt.timedelta(hours=1), due, "UTC")
    async with database.transaction() as connection:
        for name in names:
            definition = Definition(name, Task("count", queue="due"), timing)
            await ScheduleStore(connection).create(definition, due + dt.timedelta(hours=24))
            await connection.execute(
                BEGIN, uuid.uuid4().hex[:16], name, due, due + dt.timedelta(hours=1), [due]
            )


@contextlib.asynccontextmanager
async def running(database: Database, valkey: Valkey) -> AsyncIterator[Backfills]:
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        backfills = Backfills(database, delivery_to(client, database))
        loop = asyncio.create_task(backfills.loop.run())
        yield backfills
        assert not loop.done()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def reached(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 # the loop tells nobody
            await asyncio.sleep(0.01)


async def test_a_slip_on_one_schedule_ends_no_loop_is_not_tried_in_a_spin_and_the_others_are_sent(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.flush()
    right, tries = backfiller._record, 0

    async def slip(store: BackfillingStore, schedule_id: str, step: Any) -> Any:
        nonlocal tries
        if schedule_id == "s-0":
            tries += 1
            raise KeyError("a slip of ours")
        return await right(store, schedule_id, step)

    monkeypatch.setattr(backfiller, "_record", slip)
    await begun(database, "s-0", "s-1")
    with capture_logs() as told:
        async with running(database, valkey) as backfills:

            async def is_sent() -> bool:
                return len(await sent(valkey)) == 1

            await reached(is_sent)
            await begun(database, "s-2")
            async with database.transaction() as connection:
                await connection.execute("UPDATE celery_schedule_backfills SET next_at = now()")

            async def both_sent() -> bool:
                return len(await sent(valkey)) == 2

            await reached(both_sent)
            assert tries == 1
            assert backfills.loop.heartbeat.failures == 0
    [line] = [line for line in told if line["event"] == "schedule.left_out"]
    assert (line["log_level"], line["schedule"]) == ("error", "s-0") and line["exc_info"]


async def test_a_step_that_fails_in_the_database_counts_as_a_failure_and_the_others_are_sent(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.flush()
    right = BackfillingStore.locked

    async def fails(store: BackfillingStore, schedule_id: str, most: int) -> Any:
        if schedule_id == "s-0":
            raise ConnectionError
        return await right(store, schedule_id, most)

    monkeypatch.setattr(BackfillingStore, "locked", fails)
    await begun(database, "s-0", "s-1")
    async with running(database, valkey) as backfills:
        heartbeat = backfills.loop.heartbeat
        before = heartbeat.last_success

        async def failed() -> bool:
            return heartbeat.failures == 2

        await reached(failed)
        assert heartbeat.last_success == before
    assert len(await sent(valkey)) == 1


async def test_backfills_that_are_due_while_the_broker_is_away_count_as_failures(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        return None

    await begun(database, "s-0")
    async with running(database, valkey) as backfills:
        monkeypatch.setattr(backfills._delivery, "slot", away)
        heartbeat = backfills.loop.heartbeat

        async def failed() -> bool:
            return heartbeat.failures_in_a_row == 2

        await reached(failed)
