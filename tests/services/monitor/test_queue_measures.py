"""Measures of queues, with a real broker: what is not known is left out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import pytest
import redis.asyncio

from services.kernel.broker_layout import Layout
from services.monitor.measuring.measures import Values
from services.monitor.measuring.queues import BrokerMeasures
from services.monitor.messages.flow import Flows
from services.monitor.messages.measures import QueueMeasures
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.queues import BrokerQueues
from services.monitor.tasks.names import WorkerName
from tests.support.servers import Valkey

WORKER = WorkerName("w@x", 7)
WHOLE = {
    "waiting_messages",
    "queue_length",
    "queue_unacknowledged",
    "queue_waiting_for_eta",
    "queue_oldest_seconds",
    "queue_consumers",
    "queue_unread_length",
}


class Measured:
    """A broker's queues, and what is known of them besides: the fields can be changed."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.client = client
        self.consumed: Collection[str] | None = {"read"}
        self.sent: Mapping[str, dt.datetime] = {}
        layout = Layout()
        beside = QueueMeasures(
            WaitingMessages(client, layout),
            Flows(dict),
            lambda: ({name: [WORKER] for name in self.consumed or ()}, self.consumed is not None),
            self._sent,
        )
        self.source = BrokerMeasures(BrokerQueues(client, layout), beside, lambda: self.consumed)

    async def _sent(self, ids: Sequence[str]) -> Mapping[str, dt.datetime]:
        return {each: self.sent[each] for each in ids if each in self.sent}

    async def bind(self, *queues: str) -> None:
        for queue in queues:
            await self.client.sadd(*Layout().binding_of(queue))

    async def send(self, queue: str, task_id: str) -> None:
        await self.client.lpush(queue, json.dumps({"headers": {"id": task_id, "task": "add"}, "body": ""}))

    async def read(self) -> Mapping[str, Values]:
        return await self.source.read()


@pytest.fixture
async def measured(broker: Valkey) -> AsyncIterator[Measured]:
    broker.flush()
    client = redis.asyncio.Redis(host=broker.host, port=broker.port)
    yield Measured(client)
    await client.aclose()


async def test_lengths_ages_and_consumers_are_measured(measured: Measured) -> None:
    await measured.bind("read", "unread", "empty")
    for queue, task_id in (("read", "a"), ("unread", "b"), ("unread", "c")):
        await measured.send(queue, task_id)
    measured.sent = {"b": dt.datetime.now(dt.UTC) - dt.timedelta(seconds=100)}
    found = await measured.read()
    assert set(found) == WHOLE, "flows are known from the second look on"
    assert found["waiting_messages"] == {"": 3}
    assert found["queue_length"] == {"unread": 2, "read": 1, "empty": 0}
    assert found["queue_consumers"] == {"unread": 0, "read": 1, "empty": 0}
    assert found["queue_unread_length"] == {"unread": 2, "read": 0, "empty": 0}
    assert found["queue_oldest_seconds"] == {"unread": pytest.approx(100, abs=30), "empty": 0}


async def test_what_nobody_knows_is_left_out(measured: Measured) -> None:
    await measured.bind("read")
    await measured.send("read", "a")
    measured.consumed = None
    known = {"waiting_messages", "queue_length", "queue_unacknowledged", "queue_waiting_for_eta"}
    assert set(await measured.read()) == known


async def test_a_broker_without_queues_is_known_to_have_none(measured: Measured) -> None:
    measured.consumed = set()
    found = dict(await measured.read())
    assert found.pop("waiting_messages") == {"": 0}
    assert set(found) == (WHOLE - {"waiting_messages"}) | {
        "queue_arrivals_per_second",
        "queue_deliveries_per_second",
    }
    assert not any(found.values())


async def test_of_many_queues_the_longest_are_measured_and_all_are_counted(measured: Measured) -> None:
    names = [f"q{number:03}" for number in range(210)]
    await measured.bind(*names)
    for name in names[:5]:
        await measured.send(name, name)
    found = await measured.read()
    assert found["waiting_messages"] == {"": 5} and len(found["queue_length"]) == 200
    assert set(names[:5]) <= set(found["queue_length"])
