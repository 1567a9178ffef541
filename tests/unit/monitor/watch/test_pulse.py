"""The queues are read while somebody asks for them, and not otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import redis.asyncio

from services.kernel.broker_layout import Layout
from services.monitor.figures import Figures
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues, Queue
from services.monitor.watch import pulse as subject
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.workers import WorkerTable
from tests.support.watch_clients import until


class CountedQueues(BrokerQueues):
    """Counts how often they are read, and needs no broker for it."""

    def __init__(self) -> None:
        super().__init__(redis.asyncio.Redis(), Layout())
        self.reads = 0

    async def read(self) -> tuple[Queue, ...]:
        self.reads += 1
        return (Queue("mail", ((0, 7),)),)


@contextlib.asynccontextmanager
async def going() -> Any:
    queues = CountedQueues()
    pulse = Pulse(Figures(), WorkerTable(), queues, Pace(queues_look=0.001))
    task = asyncio.create_task(pulse.loop.run())
    try:
        yield pulse, queues
    finally:
        task.cancel()


async def idle(pulse: Pulse) -> None:
    await until(lambda: pulse.loop.heartbeat.idle)


async def test_nothing_is_read_while_nobody_asks() -> None:
    async with going() as (pulse, queues):
        await idle(pulse)
        assert queues.reads == 0


async def test_who_asks_first_gets_what_is_there_now() -> None:
    async with going() as (pulse, queues):
        await idle(pulse)
        assert [queue.length for queue in (await pulse.now()).queues] == [7]
        assert queues.reads == 1


async def test_the_reading_goes_on_for_a_while_and_then_ends(monkeypatch: Any) -> None:
    monkeypatch.setattr(subject, "ASKED_SECONDS", 0.05)
    async with going() as (pulse, queues):
        await idle(pulse)
        await pulse.queues()
        await idle(pulse)
        assert queues.reads > 1
