"""What the broker has lost is known by its starts, its identity and what it writes to its disk."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from services.kernel.database import Database
from services.monitor.gaps.broker_lives import BrokerLives
from tests.support.servers import Valkey

BEGAN = dt.datetime.now(dt.UTC)


def ago(seconds: float) -> dt.datetime:
    return BEGAN - dt.timedelta(seconds=seconds)


def told(run_id: str, saved: dt.datetime | None = None) -> dict[str, Any]:
    """What the server tells of itself; `saved`: when it wrote its last copy, None: it writes each command."""
    seconds = 0 if saved is None else int(saved.timestamp())
    return {"run_id": run_id, "aof_enabled": int(saved is None), "rdb_last_save_time": seconds}


@pytest.fixture
async def lives(broker: Valkey, database_url: str) -> AsyncIterator[BrokerLives]:
    broker.flush()
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("TRUNCATE celery_broker_lives")
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        yield BrokerLives(client, "", database)
    await database.close()


async def test_nothing_is_lost_that_came_to_the_first_life_or_to_this_one(lives: BrokerLives) -> None:
    await lives.look(told("one", ago(30)))
    assert not lives.lost(ago(60), ago(0))
    await lives.look(told("two", ago(1)))
    assert not lives.lost(dt.datetime.now(dt.UTC), ago(0)), "that came since it was found"


async def test_what_came_after_the_last_copy_may_be_lost_and_what_came_before_is_not(
    lives: BrokerLives,
) -> None:
    await lives.look(told("one", ago(300)))
    await lives.look(told("one", ago(30)))
    await lives.look(told("two", ago(1)))
    assert [lives.lost(ago(seconds), ago(0)) for seconds in (60, 29)] == [False, True]


async def test_of_a_file_of_all_commands_the_last_moments_before_the_gap_may_be_lost(
    lives: BrokerLives,
) -> None:
    await lives.look(told("one"))
    await lives.look(told("two"))
    assert [lives.lost(ago(seconds), ago(0)) for seconds in (10, 1)] == [False, True]


@pytest.mark.parametrize("same_server", [True, False])
async def test_all_is_lost_with_the_identity_of_the_data(
    lives: BrokerLives, broker: Valkey, same_server: bool
) -> None:
    await lives.look(told("one"))
    broker.flush()
    await lives.look(told("one" if same_server else "two"))
    assert lives.lost(ago(86_400), ago(0))


async def test_a_monitor_that_starts_later_knows_what_was_lost(lives: BrokerLives, broker: Valkey) -> None:
    await lives.look()
    broker.stop()
    broker.start()
    await lives.look()
    assert lives.lost(ago(0), ago(0)) is not lives.lost(ago(10), ago(0))
    other = BrokerLives(lives._client, "", lives._database)
    await other.look()
    assert other.lost(ago(0), ago(0)) is not other.lost(ago(10), ago(0))
