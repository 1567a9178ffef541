"""A broker that the operator names: looked at before anything that needs it is started."""

from __future__ import annotations

import redis

from services.kernel.broker_address import BrokerAddress

ANSWER_SECONDS = 5.0


def refuse_unusable(url: str) -> None:
    """Raises SystemExit that says why the broker can't be used: away, or user or password refused."""
    address = BrokerAddress.parse(url)
    try:
        with redis.Redis.from_url(address.for_redis, socket_connect_timeout=ANSWER_SECONDS) as client:
            client.ping()
    except (redis.exceptions.RedisError, OSError) as error:
        raise SystemExit(
            f"the broker {address.server} of CELERIAC_BROKER_URL can't be used: {error}; for example: "
            "CELERIAC_BROKER_URL=redis://user:password@redis:6379/0"
        ) from None
