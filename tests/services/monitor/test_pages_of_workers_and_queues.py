"""Lists of workers and of queues come page by page, by name."""

from __future__ import annotations

import time
from typing import Any

import grpc
import redis
from celeriac.monitor.v1 import queues_pb2, workers_pb2

from tests.support.calls import all_listed, eventually, fields_at_fault, refused
from tests.support.events import CHANNEL, event_message, heartbeat
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

MANY = 120


def test_workers_are_listed_page_by_page(monitor: Monitor, broker: Valkey) -> None:
    now = time.time()
    with redis.Redis(broker.host, broker.port) as client:
        for number in range(MANY):
            beat = heartbeat(now, 0, hostname=f"w{number // 2}@host", pid=number, freq=3600.0)
            client.publish(CHANNEL, event_message(beat))
        leaves = heartbeat(now + 1, 0, "worker-offline", hostname="w0@host", pid=0)
        client.publish(CHANNEL, event_message(leaves))
    expected = sorted(f"workers/w{number // 2}@host~{number}" for number in range(MANY))

    def names(**request: object) -> list[str]:
        wanted = workers_pb2.ListWorkersRequest(**request)  # type: ignore[arg-type]
        return [worker.name for worker in all_listed(monitor.workers.ListWorkers, wanted, "workers")]

    gone = [workers_pb2.WORKER_STATE_GONE]
    eventually(lambda: names(states=gone) == ["workers/w0@host~0"])
    assert names(page_size=7) == names(page_size=1000) == names() == expected
    assert len(monitor.workers.ListWorkers(workers_pb2.ListWorkersRequest()).workers) == 50
    online = [workers_pb2.WORKER_STATE_ONLINE, workers_pb2.WORKER_STATE_SILENT]
    assert names(states=online, page_size=7) == expected[1:]


def test_queues_are_listed_page_by_page(monitor: Monitor, broker: Valkey) -> None:
    with redis.Redis(broker.host, broker.port) as client:
        for number in range(MANY):
            client.sadd(f"_kombu.binding.q{number}", f"q{number}\x06\x16\x06\x16q{number}")
    expected = sorted(f"queues/q{number}" for number in range(MANY))

    def names(page_size: int = 0) -> list[str]:
        wanted = queues_pb2.ListQueuesRequest(page_size=page_size)
        return [queue.name for queue in all_listed(monitor.queues.ListQueues, wanted, "queues")]

    eventually(lambda: names() == expected)
    assert names(page_size=7) == names(page_size=1000) == expected
    assert len(monitor.queues.ListQueues(queues_pb2.ListQueuesRequest()).queues) == 50


def test_nonsense_is_refused_with_the_fields_name(monitor: Monitor) -> None:
    for call, request in (
        (monitor.workers.ListWorkers, workers_pb2.ListWorkersRequest),
        (monitor.queues.ListQueues, queues_pb2.ListQueuesRequest),
    ):
        assert fields_at_fault(call, request(page_size=-1)) == ["page_size"]
        assert fields_at_fault(call, request(page_token="e30x")) == ["page_token"]
    states: Any = [1, 99]
    listed = workers_pb2.ListWorkersRequest(states=states)
    assert fields_at_fault(monitor.workers.ListWorkers, listed) == ["states[1]"]
    for name in ("", "w0@host~0", "workers/", "queues/a", "workers/\0"):
        wanted = workers_pb2.GetWorkerRequest(name=name)
        assert fields_at_fault(monitor.workers.GetWorker, wanted) == ["name"]
    code, _ = refused(monitor.workers.GetWorker, workers_pb2.GetWorkerRequest(name="workers/none@host~1"))
    assert code is grpc.StatusCode.NOT_FOUND
