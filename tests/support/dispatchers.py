"""Dispatchers within the test's own process, beside each other if need be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio
from prometheus_client import CollectorRegistry

from services.kernel.database import Database
from services.scheduler.dispatch.delivery import Delivery
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.publisher import Publisher
from tests.support.servers import Valkey


def delivery_to(client: redis.asyncio.Redis, database: Database) -> Delivery:
    return Delivery(database, Publisher(client, 0), CollectorRegistry())


@asynccontextmanager
async def dispatcher(database: Database, valkey: Valkey) -> AsyncIterator[Dispatcher]:
    """What it has under way at the end is given up."""
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        yield Dispatcher(database, delivery_to(client, database))
