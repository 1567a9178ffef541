"""A slip in our own code while batches are healed: its run waits, the others go, each exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.kernel.database import Database
from services.scheduler.dispatch import delivery as delivering
from services.scheduler.dispatch import store_batches
from services.scheduler.dispatch.batches import Batch
from services.scheduler.dispatch.delivery import Delivery
from services.scheduler.dispatch.store_batches import BatchStore
from services.scheduler.schedule.definition import task_id
from tests.services.scheduler.dispatch.test_slips import AT_ONCE, measured, slipping
from tests.support.dispatchers import dispatcher, due_schedules, sent, states
from tests.support.servers import Valkey

AT_ANY_AGE = dt.timedelta(0)
# Where our code may slip on one schedule.
PLACES = {"reading": (store_batches, "template_of"), "writing the message": (delivering, "written")}


@contextlib.contextmanager
def slips_at(place: str, *schedule_ids: str) -> Iterator[None]:
    module, name = PLACES[place]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, slipping(getattr(module, name), set(schedule_ids)))
        yield


async def unpublished(one: Any, database: Database, count: int) -> None:
    """Runs of one batch that was recorded while the broker was away."""

    async def away() -> None:
        return None

    await due_schedules(database, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.delivery, "slot", away)
        assert await one.dispatch_batch() == count
        await one.delivery.drain()


async def ids_by_schedule(database: Database) -> dict[str, str]:
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT schedule_id, due_at, task_namespace FROM celery_schedule_runs")
        return {row["schedule_id"]: task_id(*row) for row in rows}


@pytest.mark.parametrize("place", PLACES)
async def test_a_slip_on_one_schedule_ends_no_loop_and_the_others_are_healed(
    database: Database, valkey: Valkey, place: str
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey, AT_ONCE) as one:
        await unpublished(one, database, 4)
        with slips_at(place, "s-1"), capture_logs() as told:
            assert await one.delivery.heal(AT_ANY_AGE) == 1
            # The batch of its own is left out.
            assert await one.delivery.heal(AT_ANY_AGE) == 0
            assert measured(one) == (1, 2)
        assert await states(database) == {"published": 3, "pending": 1}
        ids = await ids_by_schedule(database)
        assert sorted(await sent(valkey)) == sorted(ids[name] for name in ("s-0", "s-2", "s-3"))
        [line] = [line for line in told if line["event"] == "run.left_out"]
        assert (line["log_level"], line["schedule"]) == ("error", "s-1")
        assert line["error"].startswith("AttributeError: ") and line["exc_info"]
        # Once the fault is mended.
        assert await one.delivery.heal(AT_ANY_AGE) == 1
        assert measured(one) == (0, 2)
    assert await states(database) == {"published": 4}
    assert sorted(await sent(valkey)) == sorted(ids.values())


async def test_what_is_left_out_is_not_tried_again_at_once_and_holds_up_no_later_batch(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.flush()
    monkeypatch.setattr(delivering, "HEAL_BATCHES", 1)
    async with dispatcher(database, valkey) as one:
        with slips_at("writing the message", "s-0"):
            await unpublished(one, database, 1)
            for _ in range(3):
                assert await one.delivery.heal(AT_ANY_AGE) == 0
            assert measured(one) == (1, 1)
            async with database.transaction() as connection:
                batch = await BatchStore(connection).new_batch()
            assert await one.delivery.heal(AT_ANY_AGE) == 1
        async with database.reading() as connection:
            query = "SELECT published_at IS NOT NULL FROM celery_schedule_batches WHERE id = $1"
            assert await connection.fetchval(query, batch.id)
    assert await states(database) == {"pending": 1}


async def test_a_run_of_a_batch_that_was_sent_before_is_not_sent_again(
    database: Database, valkey: Valkey
) -> None:
    """The process died between the broker and the database; meanwhile our code can't make the message."""
    valkey.flush()
    async with dispatcher(database, valkey, AT_ONCE) as one:
        await unpublished(one, database, 3)
        with pytest.MonkeyPatch.context() as patch:

            async def dies(*_: object) -> None:
                raise ConnectionError

            patch.setattr(BatchStore, "published", dies)
            with pytest.raises(ConnectionError):
                await one.delivery.heal(AT_ANY_AGE)
        assert len(await sent(valkey)) == 3
        with slips_at("writing the message", "s-1"):
            assert await one.delivery.heal(AT_ANY_AGE) == 1
        assert await states(database) == {"published": 3}
        assert await one.delivery.heal(AT_ANY_AGE) == 0
    assert len(await sent(valkey)) == 3


async def test_a_process_that_dies_after_it_has_left_a_run_out_loses_nothing_and_sends_nothing_twice(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey, AT_ONCE) as one:
        await unpublished(one, database, 3)
        with slips_at("writing the message", "s-1"), pytest.MonkeyPatch.context() as patch:

            async def dies(*_: object) -> None:
                raise ConnectionError

            patch.setattr(BatchStore, "published", dies)
            with pytest.raises(ConnectionError):
                await one.delivery.heal(AT_ANY_AGE)
        assert len(await sent(valkey)) == 2 and await states(database) == {"pending": 3}
        # By another process, whose code is right: the mark tells which run was left out.
        assert await one.delivery.heal(AT_ANY_AGE) == 1
        assert await states(database) == {"published": 2, "pending": 1}
        assert await one.delivery.heal(AT_ANY_AGE) == 1
    assert await states(database) == {"published": 3}
    assert sorted(await sent(valkey)) == sorted((await ids_by_schedule(database)).values())


async def test_a_slip_while_a_batch_is_published_is_logged_and_the_batch_is_healed(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey) as one:
        await due_schedules(database, 2)
        with pytest.MonkeyPatch.context() as patch, capture_logs() as told:

            async def slip(_: Delivery, batch: Batch, slot: int) -> None:
                raise KeyError(f"a slip of ours on {batch} at {slot}")

            patch.setattr(Delivery, "_push", slip)
            assert await one.dispatch_batch() == 2
            await one.delivery.drain()
        [line] = [line for line in told if line["event"] == "dispatch.own_fault"]
        assert line["log_level"] == "error" and line["exc_info"]
        assert measured(one) == (0, 1)
        assert await one.delivery.heal(AT_ANY_AGE) == 1
    assert await states(database) == {"published": 2}


async def test_the_loop_goes_on_healing_while_our_code_fails_on_a_schedule(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey) as one:
        await unpublished(one, database, 3)
        with slips_at("writing the message", "s-1"):
            healing = asyncio.create_task(one.delivery.healing.run())
            async with asyncio.timeout(30):
                while measured(one) != (1, 2):  # noqa: ASYNC110 # the loop tells nobody
                    await asyncio.sleep(0.01)
            assert not healing.done()
            healing.cancel()
            await asyncio.gather(healing, return_exceptions=True)
    assert await states(database) == {"published": 2, "pending": 1}
