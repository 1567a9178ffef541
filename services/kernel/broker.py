"""The addresses of the broker and the result backend (Redis or Valkey), and connections to the broker."""

from __future__ import annotations

from urllib.parse import quote

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from services.kernel.settings import KernelSettings


def broker_url(settings: KernelSettings) -> str:
    return _url(settings, settings.redis_db_broker)


def backend_url(settings: KernelSettings) -> str:
    return _url(settings, settings.redis_db_backend)


def _url(settings: KernelSettings, database: int) -> str:
    password = settings.redis_password.get_secret_value()
    credentials = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{credentials}{settings.redis_host}:{settings.redis_port}/{database}"


def connect(settings: KernelSettings, *, decode_responses: bool = False) -> redis.asyncio.Redis:
    """Returns a pooled client of the broker. Its commands are retried for about a second."""
    return redis.asyncio.Redis.from_url(
        broker_url(settings),
        decode_responses=decode_responses,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=5),
    )
