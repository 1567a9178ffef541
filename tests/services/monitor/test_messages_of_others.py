"""Commands to workers leave alone what workers of another application hold for longer than kombu's hour."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from services.kernel.others_messages import LEFT_ALONE
from tests.support.servers import Valkey, temporary_valkey

HELD = "held-by-a-worker"


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """A broker with a message that a worker has held for two hours, as kombu writes it down."""
    with temporary_valkey() as server:
        with redis.Redis(server.host, server.port) as client:
            message = {"body": "", "headers": {}, "properties": {"delivery_info": {}, "priority": 0}}
            client.hset("unacked", HELD, json.dumps([message, "", "celery"]))
            client.zadd("unacked_index", {HELD: time.time() - 7200})
        yield server


def is_still_held(broker: Valkey, **options: int) -> bool:
    """Asks all workers for an answer, with these transport options, and looks at the message then."""
    with Celery("asks", broker=f"redis://{broker.host}:{broker.port}/0", set_as_current=False) as app:
        app.conf.broker_transport_options = options
        app.control.ping(timeout=1)
    with redis.Redis(broker.host, broker.port) as client:
        return bool(client.hexists("unacked", HELD))


def test_a_client_of_ours_leaves_the_message_with_its_worker(broker: Valkey) -> None:
    assert is_still_held(broker, **LEFT_ALONE)


def test_a_client_with_kombus_own_hour_would_have_taken_it_away(broker: Valkey) -> None:
    """The reason of the setting; when it fails, kombu has mended it, and the setting can go."""
    assert not is_still_held(broker)
