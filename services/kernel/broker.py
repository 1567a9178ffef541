"""The addresses of the broker and the result backend (Redis or Valkey), and connections to the broker."""

from __future__ import annotations

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from services.kernel.broker_address import BrokerAddress
from services.kernel.settings import NO_RESULTS, KernelSettings


def broker_address(settings: KernelSettings) -> BrokerAddress:
    """Returns CELERIAC_BROKER_URL; without it, what the variables REDIS_… say."""
    if settings.broker_url is not None:
        return BrokerAddress.parse(settings.broker_url.get_secret_value())
    password = settings.redis_password.get_secret_value()
    return BrokerAddress(
        settings.redis_host, settings.redis_port, database=settings.redis_db_broker, password=password
    )


def broker_url(settings: KernelSettings) -> str:
    """Returns the broker's URL for Celery."""
    return broker_address(settings).for_celery


def backend_url(settings: KernelSettings) -> str:
    """Returns the result backend's URL for Celery; if there is none, that of a backend that keeps nothing."""
    address = backend_address(settings)
    return "disabled://" if address is None else address.for_celery


def backend_address(settings: KernelSettings) -> BrokerAddress | None:
    """Returns where results are: CELERIAC_RESULT_URL, or a database beside the broker's. None: nowhere."""
    if settings.result_url is None:
        return broker_address(settings).at(settings.redis_db_backend)
    url = settings.result_url.get_secret_value()
    return None if url == NO_RESULTS else BrokerAddress.parse(url)


def connect(
    settings: KernelSettings, *, decode_responses: bool = False, answer_seconds: float | None = None
) -> redis.asyncio.Redis:
    """Returns a pooled client of the broker. Its commands are retried for about a second.

    `answer_seconds`: after this time without an answer a command fails, and is not retried; else it waits for
    as long as the connection holds, also for a broker that hangs.
    """
    return connect_to(
        broker_address(settings), decode_responses=decode_responses, answer_seconds=answer_seconds
    )


def connect_to(
    address: BrokerAddress, *, decode_responses: bool = False, answer_seconds: float | None = None
) -> redis.asyncio.Redis:
    """The same, of any Redis or Valkey."""
    # A Unix socket has no such option, and needs none: its other end is on this machine.
    over_network = {} if address.path else {"socket_keepalive": True}
    return redis.asyncio.Redis.from_url(
        address.for_redis,
        decode_responses=decode_responses,
        socket_connect_timeout=5,
        socket_timeout=answer_seconds,
        **over_network,
        health_check_interval=15,
        # A broker that did not answer may carry the command out all the same.
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 5, supported_errors=(RedisConnectionError,)),
    )
