"""Decisions on waiting runs that fail: by our own code, or as the monitor is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import redis.asyncio
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.kernel.database import Database
from services.scheduler.pace import Pace
from services.scheduler.runs import waiting as deciding
from services.scheduler.runs.monitor_client import Gap, Heard, Monitor, MonitorAway
from services.scheduler.runs.outcomes import Outcomes
from services.scheduler.runs.waiting import Waiting
from services.scheduler.schedule.definition import task_id
from tests.services.scheduler.runs.test_decisions_on_what_waits import EARLIER, NOW, AllGoingBut, recorded
from tests.support.dispatchers import delivery_to
from tests.support.servers import Valkey

FAST = Pace().times(0.2)


class Away(Monitor):
    """Answers no question; its stream breaks, or goes on if `streams`."""

    def __init__(self, *, streams: bool = False) -> None:
        self.streams = streams

    async def heard_of(self, task_ids: Sequence[str]) -> dict[str, Heard]:
        raise MonitorAway("UNAVAILABLE")

    async def ended(self) -> AsyncIterator[Heard | Gap]:
        if not self.streams:
            raise MonitorAway("UNAVAILABLE")
        yield Gap.GAP
        await asyncio.Event().wait()


async def states(database: Database) -> dict[str, str]:
    async with database.reading() as connection:
        query = "SELECT schedule_id, state FROM celery_schedule_runs_seen WHERE due_at = $1"
        return dict(await connection.fetch(query, NOW))


async def reached(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 # the loop tells nobody
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(loop: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    yield
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("place", ["_verdict", "written"])
async def test_a_slip_on_one_schedule_ends_no_loop_and_the_others_are_decided_on(
    database: Database, valkey: Valkey, place: str
) -> None:
    valkey.flush()
    names = [f"s-{number}" for number in range(5)]
    await recorded(database, names)
    monitor = AllGoingBut({task_id(name, EARLIER, None) for name in names})
    right = getattr(deciding, place)

    def slip(schedule: Any, *rest: Any, **named: Any) -> Any:
        if "s-1" in (schedule, getattr(schedule, "id", "")):
            raise KeyError("a slip of ours")
        return right(schedule, *rest, **named)

    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        waiting = Waiting(database, monitor, delivery_to(client, database), asyncio.Event())
        with pytest.MonkeyPatch.context() as patch, capture_logs() as told:
            patch.setattr(deciding, place, slip)
            assert await waiting.decide() == 5
            # It is not tried again at once.
            assert await waiting.decide() == 0
        others = {name: "published" for name in names if name != "s-1"}
        assert await states(database) == {**others, "s-1": "waiting"}
        [line] = [line for line in told if line["event"] == "schedule.left_out"]
        assert (line["log_level"], line["schedule"]) == ("error", "s-1") and line["exc_info"]
        assert await client.llen("q") == 4
        again = Waiting(database, monitor, delivery_to(client, database), asyncio.Event())
        assert await again.decide() == 1
    assert await states(database) == {**others, "s-1": "published"}


async def test_while_the_monitor_is_away_decisions_on_what_waits_count_as_failures(
    database: Database, valkey: Valkey
) -> None:
    await recorded(database, ["s"])
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        waiting = Waiting(database, Away(), delivery_to(client, database), asyncio.Event(), FAST)
        before = waiting.loop.heartbeat.last_success
        async with running(waiting.loop):
            await reached(lambda: waiting.loop.heartbeat.failures == 2)
            assert waiting.loop.heartbeat.last_success == before
    assert await states(database) == {"s": "waiting"}


async def test_while_the_stream_of_ends_is_broken_the_last_success_of_outcomes_stands_still(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor, looks = Away(), 0
    outcomes = Outcomes(database, monitor, CollectorRegistry(), pace=FAST)
    right = outcomes.look

    async def look() -> float:
        nonlocal looks
        looks += 1
        return await right()

    monkeypatch.setattr(outcomes, "look", look)
    heartbeat = outcomes.loop.heartbeat
    async with running(outcomes.loop):
        await reached(lambda: heartbeat.failures == 1)
        before, seen = heartbeat.last_success, looks
        await reached(lambda: heartbeat.failures >= 2 and looks > seen)
        assert heartbeat.last_success == before
        monitor.streams = True
        await reached(lambda: heartbeat.last_success > before)
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM celery_schedule_leases")
