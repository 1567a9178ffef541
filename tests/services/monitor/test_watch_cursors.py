"""WatchEvents: where a reader is, how it goes on after a break, and the sign of life."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

import grpc
import redis.asyncio
from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2

from services.kernel.broker_layout import Layout
from services.monitor.api.monitoring import MonitoringApi, task_message, tasks_message, worker_message
from services.monitor.figures import Figures
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues
from services.monitor.tasks.record import TaskRecord
from services.monitor.watch.hub import Hub
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.workers import WorkerTable
from tests.support.calls import eventually, reason_of
from tests.support.event_streams import Reader, opened, publish, watching
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey


def cursors(reader: Reader) -> list[str]:
    return [response.cursor for response in reader.seen]


def test_after_a_break_in_which_nothing_came_the_stream_goes_on_from_its_cursor(
    monitor: Monitor, broker: Valkey
) -> None:
    with watching(monitor) as reader:
        publish(broker, Life(time.time()))
        eventually(lambda: len(reader.tasks()) == 4)
        last = cursors(reader)[-1]
    assert all(cursors(reader))
    with watching(monitor, cursor=last) as again:
        publish(broker, Life(time.time()))
        eventually(lambda: len(again.tasks()) == 4)


def test_a_cursor_after_which_something_came_is_refused_and_the_way_back_is_told(
    monitor: Monitor, broker: Valkey
) -> None:
    with watching(monitor) as reader:
        publish(broker, Life(time.time()))
        eventually(lambda: len(reader.tasks()) == 4)
        last = cursors(reader)[-1]
        # Nobody watches tasks when these come.
    life = Life(time.time())
    publish(broker, life)

    def stored() -> bool:
        name = f"tasks/{life.id}"
        return bool(monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=[name])).tasks)

    eventually(stored)
    error = Reader(opened(monitor, cursor=last)).await_end()
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(error) == "CURSOR_EXPIRED"
    assert "watch without a cursor" in error.details() and "list tasks and workers" in error.details()


async def test_a_message_with_a_cursor_alone_comes_when_there_has_been_no_other_for_a_while(
    broker: Valkey,
) -> None:
    """In this process, where the while need not be fifteen seconds."""
    hub = Hub(task_message, tasks_message, worker_message, buffer=10)
    workers = WorkerTable()
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        pulse = Pulse(Figures(), workers, BrokerQueues(client, Layout()))
        # Without the methods that need a database, which are not called here.
        api: Any = MonitoringApi(pulse, hub, workers, Pace(watch_life=0.05))  # type: ignore[abstract]
        request = pb.WatchEventsRequest(metrics_interval={"seconds": 60})
        async with aclosing(api.WatchEvents(request, None)) as messages:
            first = await anext(messages)
            assert (first.WhichOneof("event"), bool(first.cursor)) == ("metrics", True)
            for _ in range(2):
                assert await anext(messages) == pb.WatchEventsResponse(cursor=first.cursor)
            record = TaskRecord("a")
            record.hear("task-started", 1_000_000, {})
            hub.tasks_changed([record.task_now()])
            task = await anext(messages)
            assert task.task.name == "tasks/a"
            assert await anext(messages) == pb.WatchEventsResponse(cursor=task.cursor)
    assert task.cursor != first.cursor


def test_a_sign_of_life_comes_every_fifteen_seconds_whatever_the_pace() -> None:
    assert Pace().times(0.2).watch_life == 15.0
