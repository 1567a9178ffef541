"""The brokers that the operator names: looked at before anything is made or started."""

from __future__ import annotations

import redis

from deploy.standalone.settings import StandaloneSettings
from services.kernel.broker_address import BrokerAddress

ANSWER_SECONDS = 5.0


def refuse_unusable(settings: StandaloneSettings) -> None:
    """Raises SystemExit that says why a broker can't be used: away, or user or password refused."""
    named = {"CELERIAC_BROKER_URL": settings.broker_url, "CELERIAC_RELAY_URL": settings.relay_url}
    for variable, url in named.items():
        if url is not None:
            _ask(variable, url.get_secret_value())


def _ask(variable: str, url: str) -> None:
    address = BrokerAddress.parse(url)
    try:
        with redis.Redis.from_url(address.for_redis, socket_connect_timeout=ANSWER_SECONDS) as client:
            client.ping()
    except (redis.exceptions.RedisError, OSError) as error:
        reason = str(error).rstrip(".")
        raise SystemExit(
            f"the broker {address.server} of {variable} can't be used: {reason}; for example: "
            f"{variable}=redis://user:password@redis:6379/0"
        ) from None
