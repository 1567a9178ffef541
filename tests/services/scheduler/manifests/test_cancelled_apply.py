"""A set that is cut off while it is written: nothing is half done, and nothing stays locked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from celeriac.scheduler.v1 import manifests_pb2 as pb

from services.kernel import database as database_module
from services.kernel.database import Database
from services.kernel.errors import Locked
from services.kernel.outages import HELD_UP
from services.scheduler.api.manifests import difference_to
from services.scheduler.manifests.apply import Application, Sets
from services.scheduler.manifests.store_apply import SetStore
from services.scheduler.manifests.take_over import Dump
from tests.support.locks import ended_transactions, locked_table, waiting_for_a_lock
from tests.support.sql import fetch

MANY = 10_000
# For the call that comes next.
ONE = json.dumps({"schedules": [{"id": "one", "task": "report", "crontab": "0 0 29 2 *"}]})


def manifest(count: int, **fields: Any) -> str:
    usual = {"task": "report", "crontab": "0 0 29 2 *", "args": ["x" * 200], **fields}
    return json.dumps({"schedules": [{"id": f"many-{number}", **usual} for number in range(count)]})


def dump(count: int) -> str:
    daily = {"kind": "interval", "seconds": 86400, "zone": "UTC"}
    entries = [
        {"name": f"imported-{number}", "task": "report", "schedule": daily, "args": ["x" * 200]}
        for number in range(count)
    ]
    return json.dumps({"celeriac_dump": 1, "source": "redbeat", "entries": entries})


async def cut_off(manifests: Any, url: str, method: str, request: Any, statement: str) -> None:
    """Cancels the call while its statement waits for a table; it is over before the table is free.

    The table is one that triggers write to: for the statement's own table PostgreSQL waits while it prepares.
    """
    async with locked_table(url, "celery_schedule_facets"):
        call = manifests.begin(method, request)
        pids = await waiting_for_a_lock(url, statement)
        call.cancel()
        await ended_transactions(url, pids)
    assert call.cancelled()


async def apply_one(manifests: Any) -> pb.Difference:
    """A call after the one that was cut off; it is given less time than a lock is waited for."""
    call = manifests.begin("ApplySchedules", pb.ApplySchedulesRequest(manifest=ONE, validate_only=True))
    answer: pb.ApplySchedulesResponse = await asyncio.to_thread(call.result, 8)
    return answer.difference


async def stored(url: str, like: str) -> int:
    [row] = await fetch(url, "SELECT count(*) FROM celery_schedules WHERE id LIKE $1", like)
    return int(row["count"])


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ApplySchedules", pb.ApplySchedulesRequest(manifest=manifest(MANY))),
        ("ImportSchedules", pb.ImportSchedulesRequest(dump=dump(MANY))),
    ],
    ids=["apply", "import"],
)
async def test_a_set_cut_off_while_it_is_created_leaves_nothing_and_the_next_is_applied_at_once(
    manifests: Any, database_url: str, method: str, request_: Any
) -> None:
    await cut_off(manifests, database_url, method, request_, r"^\s*INSERT INTO celery_schedules\s")
    assert (await apply_one(manifests)).create_count == 1
    assert await stored(database_url, "%many-%") == await stored(database_url, "imported-%") == 0


async def test_a_set_cut_off_while_it_is_changed_stays_as_it_was(manifests: Any, database_url: str) -> None:
    manifests.ApplySchedules(pb.ApplySchedulesRequest(manifest=manifest(1000)))
    wanted = pb.ApplySchedulesRequest(manifest=manifest(1000, queue="elsewhere"))
    await cut_off(manifests, database_url, "ApplySchedules", wanted, r"^\s*UPDATE celery_schedules\s")
    assert (await apply_one(manifests)).create_count == 1
    rows = await fetch(
        database_url, "SELECT queue, count(*) FROM celery_schedules WHERE id LIKE 'many-%' GROUP BY queue"
    )
    assert [tuple(row) for row in rows] == [("celery", 1000)]


async def test_a_set_cut_off_while_it_waits_for_another_set_lets_the_next_one_in(
    manifests: Any, database: Database
) -> None:
    async with database.transaction() as connection:
        await SetStore(connection).alone()
        call = manifests.begin("ApplySchedules", pb.ApplySchedulesRequest(manifest=ONE))
        pids = await waiting_for_a_lock(database.url, "pg_advisory_xact_lock")
        call.cancel()
        await ended_transactions(database.url, pids)
    assert (await apply_one(manifests)).create_count == 1


@pytest.fixture
async def impatient(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Nobody waits long for a lock."""
    monkeypatch.setattr(database_module, "LOCK_SECONDS", 0.2)
    impatient = Database(database.url, pool_size=1)
    yield impatient
    await impatient.close()


async def test_who_waits_for_another_set_in_vain_is_told_since_when_it_is_under_way(
    database: Database, impatient: Database
) -> None:
    sets = Sets(impatient, "Asia/Taipei", difference_to)
    async with database.transaction() as connection:
        await SetStore(connection).alone()
        since = await connection.fetchval("SELECT now()")
        for refused in (
            sets.apply(ONE, Application()),
            sets.take_over(Dump(dump(1), {}), Application()),
        ):
            with pytest.raises(Locked, match=f"is under way since {since:%Y-%m-%d %H:%M:%S} UTC") as found:
                await refused
            assert found.value.retry_after > 0
    made = pb.Difference.FromString(await sets.apply(ONE, Application()))
    assert [change.name for change in made.changes] == ["schedules/one"]


async def test_a_schedule_that_another_transaction_holds_is_told_of_too(
    database: Database, impatient: Database
) -> None:
    sets = Sets(impatient, "Asia/Taipei", difference_to)
    await sets.apply(ONE, Application())
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM celery_schedules WHERE id = 'one' FOR UPDATE")
        with pytest.raises(HELD_UP):
            await sets.apply(ONE, Application())
    await sets.apply(ONE, Application())
