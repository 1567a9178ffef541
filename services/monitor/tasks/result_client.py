"""One client of the application's result backend, for all that read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from services.kernel.broker_address import BrokerAddress

# redis-py declares the answers of all its protocols at once.
ResultClient: TypeAlias = Any

# Of one request. Whoever has less time sets a limit of its own.
TIMEOUT_SECONDS = 5.0


@asynccontextmanager
async def opened_results(address: BrokerAddress) -> AsyncIterator[ResultClient]:
    """Yields a client of the backend at the address, which connects when it is first used."""
    client: ResultClient = redis.asyncio.Redis.from_url(
        address.for_redis,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=2),
    )
    try:
        yield client
    finally:
        await client.aclose()
