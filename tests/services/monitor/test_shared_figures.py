"""The figures of one moment are taken once for all who ask at that moment."""

from __future__ import annotations

import asyncio

import redis.asyncio

from services.kernel.broker_layout import Layout
from services.kernel.database import Database
from services.monitor.figures import Figures
from services.monitor.queues import BrokerQueues
from services.monitor.totals.totals import Totals
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.workers import WorkerTable
from tests.support.servers import Valkey

READERS = 10


async def test_readers_that_ask_while_totals_are_read_get_the_same_figures(
    database_url: str, broker: Valkey
) -> None:
    database = Database(database_url)
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        queues = BrokerQueues(client, Layout())
        pulse = Pulse(Figures(), WorkerTable(), queues, totals=Totals(database))
        reading = asyncio.create_task(pulse.loop.run())
        moments = await asyncio.gather(*(pulse.now() for _ in range(READERS)))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await database.close()
    assert len({id(moment) for moment in moments}) == 1
