"""Queues that are purged, moved and put back while workers take their messages: each is run, and once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celeriac.monitor.v1 import queues_pb2 as pb
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import NOTES, NOTES_KEY, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

MESSAGES = 240
# Seconds after which a message that is not acknowledged is put back by any worker.
VISIBILITY, SHORT = 10, 2


@pytest.fixture(scope="module")
def client(broker: Valkey) -> Iterator[Any]:
    with redis.Redis(broker.host, broker.port) as client:
        yield client


def notes(broker: Valkey) -> Counter[str]:
    with redis.Redis(broker.host, broker.port, NOTES) as client:
        return Counter(each.decode() for each in client.lrange(NOTES_KEY, 0, -1))


def length(client: Any, queue: str) -> int:
    return sum(client.llen(key) for key in client.scan_iter(f"{queue}*"))


def half_purged(monitor: Monitor, client: Any) -> pb.Purge:
    """Purges half of what waits, and moves some of the rest to the other queue."""
    waiting = length(client, "busy")
    request = pb.PurgeQueueRequest(
        name="queues/busy", expected_length=max(1, waiting), allow_newer=True, count=max(1, waiting // 2)
    )
    purge: pb.Purge = monitor.queues.PurgeQueue(request).purge
    move = pb.MoveMessagesRequest(name="queues/busy", destination_queue="queues/quiet", count=5)
    monitor.queues.MoveMessages(move)
    return purge


def test_every_message_is_run_once_however_often_its_queue_is_purged_moved_and_put_back(
    monitor: Monitor, app: Celery, broker: Valkey, client: Any, tmp_path: Path
) -> None:
    client.sadd("_kombu.binding.quiet", "quiet\x06\x16\x06\x16quiet")
    sent = [
        app.send_task("note_late", [0.05], queue="busy", priority=number % 10).id
        for number in range(MESSAGES)
    ]
    purge = half_purged(monitor, client)
    assert purge.purged_count == MESSAGES // 2 and length(client, "quiet") == 5
    with running_worker(
        broker, tmp_path, queues="busy,quiet", concurrency=2, pool="threads", visibility=VISIBILITY
    ):
        monitor.queues.UndoPurge(pb.UndoPurgeRequest(name=purge.name))
        while len(notes(broker)) < MESSAGES // 2:
            purge = half_purged(monitor, client)
            monitor.queues.UndoPurge(pb.UndoPurgeRequest(name=purge.name))
        eventually(lambda: len(notes(broker)) == MESSAGES, 120)
        assert notes(broker) == Counter(sent), "each is run, and none twice"
        eventually(lambda: client.hlen("unacked") == 0 and client.zcard("unacked_index") == 0)


def test_a_message_that_was_moved_and_not_acknowledged_is_put_back_to_the_new_queue(
    monitor: Monitor, app: Celery, broker: Valkey, client: Any, tmp_path: Path
) -> None:
    """Its worker dies, and another one puts it back when its visibility timeout is over."""
    client.sadd("_kombu.binding.fatal", "fatal\x06\x16\x06\x16fatal")
    lost = app.send_task("note_late", [600], queue="first", priority=6).id
    request = pb.MoveMessagesRequest(name="queues/first", destination_queue="queues/fatal")
    assert monitor.queues.MoveMessages(request).moved_count == 1
    with running_worker(broker, tmp_path, name="fatal@test", queues="fatal", visibility=SHORT) as fatal:
        eventually(lambda: any(lost.encode() in entry for entry in client.hvals("unacked")))
        fatal.kill()
    with running_worker(broker, tmp_path, name="finds@test", queues="elsewhere", visibility=SHORT):
        eventually(lambda: client.llen("fatal\x06\x166") == 1, 60)
    [raw] = client.lrange("fatal\x06\x166", 0, -1)
    assert json.loads(raw)["headers"]["id"] == lost
    [seen] = monitor.queues.PeekQueue(pb.PeekQueueRequest(name="queues/fatal")).messages
    assert seen.redelivered and seen.priority == 6
