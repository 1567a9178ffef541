"""Queues, as a real broker has them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import redis
import redis.asyncio
from celeriac.monitor.v1 import queues_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2
from celery import Celery
from google.protobuf.timestamp_pb2 import Timestamp
from kombu import Exchange
from kombu import Queue as KombuQueue

from services.kernel.broker_layout import Layout
from services.monitor.queues import BrokerQueues, Queue
from tests.support.calls import eventually, refused
from tests.support.celery_workers import celery_app, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey


@pytest.fixture
def app(broker: Valkey) -> Iterator[Celery]:
    broker.flush()
    app = celery_app(broker.host, broker.port)
    yield app
    app.close()


def listed(monitor: Monitor) -> dict[str, pb.Queue]:
    return {queue.name: queue for queue in monitor.queues.ListQueues(pb.ListQueuesRequest()).queues}


async def read(broker: Valkey, layout: Layout | None = None, heard: tuple[str, ...] = ()) -> list[Queue]:
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        return list(await BrokerQueues(client, layout or Layout(), heard=lambda: heard).read())


def test_messages_of_every_priority_are_counted(monitor: Monitor, app: Celery) -> None:
    """Queue lengths without priorities: flower #439, celery-exporter #272."""
    for priority in (0, 1, 3, 5, 6, 9, 9):
        app.send_task("add", [1, 2], queue="waiting", priority=priority)
    queue = listed(monitor)["queues/waiting"]
    assert queue.length == 7
    assert [(each.priority, each.length) for each in queue.by_priority] == [(0, 2), (3, 2), (6, 1), (9, 2)]
    assert queue.unacknowledged == 0


def test_what_a_worker_holds_is_told_by_queue_and_its_mailboxes_are_no_queues(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    with running_worker(broker, tmp_path, queues="held,other"):
        for _ in range(2):
            app.send_task("add", [1, 2], queue="held", countdown=600)
        app.send_task("add", [1, 2], queue="other", countdown=600)
        app.send_task("add", [1, 2], queue="nobody")

        def all_held() -> bool:
            return sum(queue.unacknowledged for queue in listed(monitor).values()) == 3

        eventually(all_held)
        queues = listed(monitor)
    assert sorted(queues) == ["queues/held", "queues/nobody", "queues/other"]
    assert (queues["queues/held"].length, queues["queues/held"].unacknowledged) == (0, 2)
    assert (queues["queues/other"].length, queues["queues/other"].unacknowledged) == (0, 1)
    assert (queues["queues/nobody"].length, queues["queues/nobody"].unacknowledged) == (1, 0)
    assert not queues["queues/held"].unacknowledged_estimated
    assert (queues["queues/held"].waiting_for_eta, queues["queues/nobody"].waiting_for_eta) == (2, 0)


async def test_a_message_waits_for_its_eta_in_whatever_zone_that_is_told(broker: Valkey) -> None:
    broker.flush()
    now = dt.datetime.now(dt.UTC)
    zones = [dt.UTC, *(dt.timezone(dt.timedelta(minutes=each)) for each in (480, -210, 845, -720))]
    with redis.Redis(broker.host, broker.port) as client:
        for queue, minutes in (("coming", 2), ("past", -2)):
            client.sadd(f"_kombu.binding.{queue}", f"{queue}\x06\x16\x06\x16{queue}")
            moment = now + dt.timedelta(minutes=minutes)
            etas = [moment.astimezone(zone).isoformat() for zone in zones]
            etas += [moment.replace(microsecond=0, tzinfo=None).isoformat(), f"{moment:%Y-%m-%dT%H:%M:%S}Z"]
            for number, eta in enumerate(etas):
                envelope = {"body": "e30=", "headers": {"eta": eta}, "properties": {"delivery_tag": "t"}}
                client.hset("unacked", f"{queue}{number}", json.dumps([envelope, "", queue]))
        client.hset("unacked", "none", json.dumps([{"headers": {"eta": None}}, "", "past"]))
        client.hset("unacked", "odd", json.dumps([{"headers": {"eta": "tomorrow"}}, "", "past"]))
    coming, past = await read(broker)
    assert (coming.unacknowledged, coming.waiting_for_eta) == (7, 7)
    assert (past.unacknowledged, past.waiting_for_eta) == (9, 0)


def test_the_age_of_the_oldest_message_is_known_where_its_sender_told_when_it_sent_it(
    monitor: Monitor, app: Celery
) -> None:
    first = app.send_task("add", [1, 2], queue="aging", priority=9).id
    app.send_task("add", [1, 2], queue="aging", priority=0)

    def oldest() -> Timestamp | None:
        queue = monitor.queues.GetQueue(pb.GetQueueRequest(name="queues/aging")).queue
        return queue.oldest_sent_time if queue.HasField("oldest_sent_time") else None

    seen = eventually(oldest)
    assert seen == monitor.tasks.GetTask(tasks_pb2.GetTaskRequest(name=f"tasks/{first}")).task.sent_time
    app.conf.task_send_sent_event = False
    app.send_task("add", [1, 2], queue="aging", priority=3)
    assert oldest() is None, "the one that told nothing may be older"


def test_a_queue_tells_how_fast_it_grows_from_the_second_look_on(monitor: Monitor, app: Celery) -> None:
    app.send_task("add", [1, 2], queue="growing")
    assert listed(monitor)["queues/growing"].length == 1
    app.send_task("add", [1, 2], queue="growing")

    def flowing() -> pb.Queue | None:
        queue = listed(monitor)["queues/growing"]
        return queue if queue.HasField("arrivals_per_second") else None

    queue = eventually(flowing)
    assert queue.arrivals_per_second > 0 and queue.deliveries_per_second == 0
    assert not queue.HasField("time_to_empty")
    assert queue.consumer_count == 0 and not queue.consumers


async def test_an_exchange_of_the_applications_own_leads_to_its_queues(app: Celery, broker: Valkey) -> None:
    exchange = Exchange("media", type="topic")
    queue = KombuQueue("thumbnails", exchange, routing_key="image.#")
    with app.connection_for_write() as connection:
        bound = queue(connection.default_channel)
        bound.declare()
        connection.Producer().publish({}, exchange=exchange, routing_key="image.png", serializer="json")
        assert (await read(broker)) == [Queue("thumbnails", ((0, 1),))]
        message = bound.get()  # held, until it is acknowledged
        assert (await read(broker)) == [Queue("thumbnails", (), 1)]
        assert message is not None
        message.ack()
        assert (await read(broker)) == [Queue("thumbnails")]


async def test_the_applications_own_prefix_steps_and_separator_are_honoured(broker: Valkey) -> None:
    broker.flush()
    app = Celery("own", broker=f"redis://{broker.host}:{broker.port}/0")
    app.conf.broker_transport_options = {
        "global_keyprefix": "shop[1]*:",
        "priority_steps": list(range(10)),
        "sep": ":",
    }
    for priority in (0, 4, 9):
        app.send_task("add", [1, 2], queue="orders", priority=priority)
    app.close()
    other = celery_app(broker.host, broker.port)
    other.send_task("add", [1, 2], queue="of-someone-else")
    other.close()
    layout = Layout("shop[1]*:", tuple(range(10)), ":")
    assert await read(broker, layout) == [Queue("orders", ((0, 1), (4, 1), (9, 1)))]


async def test_a_queue_that_lost_its_binding_is_seen_while_it_has_messages(
    app: Celery, broker: Valkey
) -> None:
    app.send_task("add", [1, 2], queue="waiting")
    with redis.Redis(broker.host, broker.port) as client:
        client.delete("_kombu.binding.waiting")
        assert await read(broker, heard=("waiting", "long-gone")) == [Queue("waiting", ((0, 1),))]


async def test_more_unacknowledged_messages_than_one_look_may_touch_are_projected(broker: Valkey) -> None:
    broker.flush()
    with redis.Redis(broker.host, broker.port) as client:
        for queue, count in (("many", 9_000), ("few", 3_000)):
            client.sadd(f"_kombu.binding.{queue}", f"{queue}\x06\x16\x06\x16{queue}")
            entry = json.dumps([{"body": "e30=", "properties": {"delivery_tag": "t"}}, "", queue])
            client.hset("unacked", mapping={f"{queue}-{number}": entry for number in range(count)})
    few, many = await read(broker)
    assert few.unacknowledged_estimated and many.unacknowledged_estimated
    assert abs(few.unacknowledged + many.unacknowledged - 12_000) <= 1
    assert 2_500 < few.unacknowledged < 3_500


async def test_keys_that_are_not_kombus_do_no_harm(broker: Valkey) -> None:
    broker.flush()
    with redis.Redis(broker.host, broker.port) as client:
        client.sadd("_kombu.binding.strange", "no separators", b"\xff\xfe\x06\x16\x06\x16\xff")
        client.sadd("_kombu.binding.strange", "a\x06\x16[(\x06\x16b", "a\x06\x16\x06\x16" + "long" * 300)
        client.sadd("_kombu.binding.text", "text\x06\x16\x06\x16text")
        client.set("text", "not a list")
        client.set("_kombu.binding.no-set", "x")
        client.hset("unacked", mapping={"tag": "not json", "other": '[{}, null, ["text"]]'})
    assert await read(broker) == [Queue("text")]


def test_while_the_broker_is_away_the_call_is_unavailable_and_works_again_after(
    monitor: Monitor, app: Celery, broker: Valkey
) -> None:
    app.send_task("add", [1, 2], queue="waiting")
    broker.stop()
    try:
        code, message = refused(monitor.queues.ListQueues, pb.ListQueuesRequest())
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "broker" in message
    finally:
        broker.start()
    assert listed(monitor)["queues/waiting"].length == 1
