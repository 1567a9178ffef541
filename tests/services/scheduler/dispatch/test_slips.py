"""A slip in our own code: nothing is recorded, the due time stays due, it is told, and the others run."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.kernel.database import Database
from services.scheduler.catalogue.store_listing import RunFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch import dispatcher as dispatching
from services.scheduler.dispatch import fast_path, left_out
from services.scheduler.dispatch.decide import Decision, decide
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.left_out import OwnFault
from services.scheduler.pace import USUAL
from tests.support.dispatchers import dispatcher, due_schedules, sent, states
from tests.support.servers import Valkey

# So late that it is decided on by itself.
LATE = 120.0
# What was left out is tried again at once; other than that, as usual.
AT_ONCE = dataclasses.replace(USUAL, left_out=0.0)
# Where our code may slip: the module, its function, how late the schedules are then.
PLACES = {
    "deciding": (dispatching, "decide", LATE),
    "reading": (dispatching, "due_of", LATE),
    "writing the message": (dispatching, "written", LATE),
    "the fast path": (fast_path, "task_id", 0.5),
}


def slipping(function: Callable[..., Any], schedule_ids: set[str]) -> Callable[..., Any]:
    """The function, with a slip where it is about one of these schedules: as after a refactoring."""

    def slips(*values: Any, **named: Any) -> Any:
        of = values[0] if isinstance(values[0], str) else values[0]["id"]
        if of in schedule_ids:
            return None.sent_at  # type: ignore[attr-defined]
        return function(*values, **named)

    return slips


async def due_times(database: Database) -> dict[str, dt.datetime]:
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT id, next_run_at FROM celery_schedules")
        return {row["id"]: row["next_run_at"] for row in rows}


async def recorded(database: Database) -> set[str]:
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT schedule_id FROM celery_schedule_runs")
        return {row["schedule_id"] for row in rows}


def measured(one: Dispatcher) -> tuple[float, float]:
    """How many schedules are left out now, and how many times our own code has failed."""
    metrics = one.delivery.metrics
    [left_out], [own_faults] = metrics.left_out.collect(), metrics.own_faults.collect()
    return left_out.samples[0].value, own_faults.samples[0].value


async def published(database: Database, count: int) -> None:
    async with asyncio.timeout(20):
        while (await states(database))["published"] < count:  # noqa: ASYNC110 # the table tells nobody
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def slips_at(place: str, *schedule_ids: str) -> Iterator[float]:
    """Gives how late schedules have to be to come by there."""
    module, name, late = PLACES[place]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, slipping(getattr(module, name), set(schedule_ids)))
        yield late


@pytest.mark.parametrize("place", PLACES)
async def test_a_slip_on_one_schedule_records_nothing_of_it_and_the_others_run(
    database: Database, valkey: Valkey, place: str
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey) as one:
        with slips_at(place, "s-1") as late, capture_logs() as told:
            await due_schedules(database, 5, late)
            due = (await due_times(database))["s-1"]
            assert await one.dispatch_batch() == 5
            await one.delivery.drain()
            assert await one.dispatch_batch() == 0
        assert len(await sent(valkey)) == 4
        assert await states(database) == {"published": 4}
        assert "s-1" not in await recorded(database)
        assert (await due_times(database))["s-1"] == due
        [line] = [line for line in told if line["event"] == "schedule.left_out"]
        assert (line["log_level"], line["schedule"]) == ("error", "s-1")
        assert line["error"].startswith("AttributeError: ") and line["exc_info"]
        assert measured(one) == (1, 1)


WRONG_VALUES: dict[str, Callable[[Decision], Decision]] = {
    "a text in place of a moment": lambda found: found._replace(next_run_at="2026-12-01"),  # type: ignore[arg-type]
    "a moment without a zone": lambda found: found._replace(next_run_at=dt.datetime(2026, 12, 1)),
    "no reason": lambda found: found._replace(runs=tuple(run._replace(reason=None) for run in found.runs)),  # type: ignore[arg-type]
    "a NUL": lambda found: found._replace(runs=tuple(run._replace(reason="\0") for run in found.runs)),
}


@pytest.mark.parametrize("wrong", WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
async def test_a_slip_that_the_driver_or_the_server_finds_leaves_out_its_schedule_only(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Decision], Decision]
) -> None:
    valkey.flush()
    right = decide

    def slip(schedule_id: str, *rest: Any) -> Decision:
        found = right(schedule_id, *rest)
        return wrong(found) if schedule_id == "s-1" else found

    monkeypatch.setattr(dispatching, "decide", slip)
    await due_schedules(database, 3, LATE)
    async with dispatcher(database, valkey) as one:
        with capture_logs() as told:
            assert await one.dispatch_batch() == 3
            await one.delivery.drain()
        assert measured(one) == (1, 1)
    assert await states(database) == {"published": 2}
    assert await recorded(database) == {"s-0", "s-2"}
    [line] = [line for line in told if line["event"] == "schedule.left_out"]
    assert (line["log_level"], line["schedule"]) == ("error", "s-1") and line["exc_info"]


async def test_what_was_left_out_is_run_once_when_the_fault_is_mended(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey, AT_ONCE) as one:
        with slips_at("deciding", "s-1") as late:
            await due_schedules(database, 3, late)
            assert await one.dispatch_batch() == 3
            # Tried by itself, and in vain.
            assert await one.dispatch_batch() == 0
            assert measured(one) == (1, 2)
        assert "s-1" not in await recorded(database)
        assert await one.dispatch_batch() == 0
        await one.delivery.drain()
        assert measured(one) == (0, 2)
    assert await states(database) == {"published": 3}
    assert len(set(await sent(valkey))) == len(await sent(valkey)) == 3


async def test_a_schedule_that_is_left_out_keeps_the_loop_from_nothing_and_is_not_tried_in_a_spin(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    async with dispatcher(database, valkey) as one:
        with slips_at("deciding", "s-1") as late:
            await due_schedules(database, 2, late)
            running = asyncio.create_task(one.run())
            await published(database, 1)
            before = measured(one)
            # Another comes due, while the first is due all the time.
            async with database.transaction() as connection:
                await connection.execute(
                    "UPDATE celery_schedules SET next_run_at = now() - interval '1 minute' WHERE id = 's-0'"
                )
            await published(database, 2)
            assert measured(one) == before == (1, 1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert "s-1" not in await recorded(database)


async def test_a_slip_on_every_schedule_ends_neither_the_loop_nor_a_due_time(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.flush()
    monkeypatch.setattr(left_out, "MOST", 3)
    names = [f"s-{number}" for number in range(6)]
    async with dispatcher(database, valkey, AT_ONCE) as one:
        with slips_at("deciding", *names) as late:
            await due_schedules(database, 6, late)
            due = await due_times(database)
            assert await one.dispatch_batch() == 6
            assert measured(one)[0] == 3
            with pytest.raises(OwnFault):
                await one.dispatch_batch()
            running = asyncio.create_task(one.run())
            failed = measured(one)[1]
            while measured(one)[1] == failed:  # noqa: ASYNC110 # the loop tells nobody
                await asyncio.sleep(0.01)
            assert await due_times(database) == due and not await recorded(database)
        await published(database, 6)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(await sent(valkey)) == 6


OF_OTHER_HANDS = {
    "end_at = '20000-01-01'": "end_at is infinite, or not between the years 1 and 9999",
    "start_at = '0044-03-15 BC'": "start_at is infinite, or not between the years 1 and 9999",
    "anchor = '20000-01-01'": "anchor is infinite, or not between the years 1 and 9999",
    "next_due_at = '20000-01-01'": "next_due_at is infinite, or not between the years 1 and 9999",
    "next_run_at = '0044-03-15 BC'": "next_run_at is infinite, or not between the years 1 and 9999",
    "time_zone = repeat('é', 200)": "no zone of the IANA database",
}


@pytest.mark.parametrize(("change", "fault"), OF_OTHER_HANDS.items())
async def test_a_row_of_values_that_python_does_not_know_is_skipped_with_the_reason_and_the_others_run(
    database: Database, valkey: Valkey, change: str, fault: str
) -> None:
    valkey.flush()
    await due_schedules(database, 3)
    async with database.transaction() as connection:
        await connection.execute(f"UPDATE celery_schedules SET {change} WHERE id = 's-1'")
    async with dispatcher(database, valkey) as one:
        assert await one.dispatch_batch() == 3
        await one.delivery.drain()
        assert measured(one) == (0, 0)
    assert len(await sent(valkey)) == 2
    assert await states(database) == {"published": 2, "skipped": 1}
    async with database.reading() as connection:
        runs = await ScheduleStore(connection).list_runs(RunFilter("s-1"), None, 10)
    assert [fault in run.reason for run in runs] == [True]
