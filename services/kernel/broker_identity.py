"""The broker's identity: a key that goes with its data. If it has changed, the data is gone."""

from __future__ import annotations

import uuid

import redis.asyncio

IDENTITY = "celeriac:broker"


async def identity_of(client: redis.asyncio.Redis, key_prefix: str) -> str:
    """Returns the identity, which stays the same while the broker keeps its data.

    A broker without an identity is given one.
    """
    key = key_prefix + IDENTITY
    found = await client.get(key)
    if found is None:
        await client.set(key, str(uuid.uuid4()), nx=True)
        found = await client.get(key)
    return found.decode() if isinstance(found, bytes) else str(found)
