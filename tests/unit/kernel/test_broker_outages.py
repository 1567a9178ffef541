"""What a caller is told when the broker is away: the errors are known by name, without loading its client."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio

from services.kernel.errors import Unavailable
from services.kernel.grpc.errors import outage_of


async def test_a_broker_that_nobody_answers_at_is_told_as_away() -> None:
    async with redis.asyncio.Redis(host="127.0.0.1", port=1) as client:
        with pytest.raises(redis.RedisError) as raised:
            await client.ping()
    assert isinstance(outage_of(raised.value), Unavailable)


@pytest.mark.parametrize("kind", [redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError])
def test_each_error_by_which_the_client_tells_that_it_is_away_is_an_outage(
    kind: type[redis.RedisError],
) -> None:
    outage = outage_of(kind("no route to 10.0.0.7:6379"))
    assert isinstance(outage, Unavailable) and outage.message.startswith("the broker")


def test_what_the_broker_refuses_is_no_outage() -> None:
    assert outage_of(redis.ResponseError("unknown command")) is None
