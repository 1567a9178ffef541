"""WatchEvents tells figures at its interval, also when the first take long to get."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import redis.asyncio
from celeriac.monitor.v1 import monitoring_pb2 as pb
from google.protobuf import duration_pb2

from services.kernel.broker_layout import Layout
from services.monitor.api.monitoring import MonitoringApi, task_message, tasks_message, worker_message
from services.monitor.figures import Figures
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues, Queue
from services.monitor.watch.hub import Hub
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.workers import WorkerTable


class SlowQueues(BrokerQueues):
    """Takes longer to read than the interval of the watch."""

    def __init__(self) -> None:
        super().__init__(redis.asyncio.Redis(), Layout())

    async def read(self) -> tuple[Queue, ...]:
        await asyncio.sleep(0.4)
        return ()


async def test_who_waited_for_the_first_figures_does_not_get_them_twice() -> None:
    workers = WorkerTable()
    pulse = Pulse(Figures(), workers, SlowQueues(), Pace(queues_look=0.001))
    reading = asyncio.create_task(pulse.loop.run())
    request = pb.WatchEventsRequest(metrics_interval=duration_pb2.Duration(nanos=200_000_000))
    hub = Hub(task_message, tasks_message, worker_message, 10)
    context: Any = None
    # Without the methods that need a database, which are not called here.
    api = MonitoringApi(pulse, hub, workers)  # type: ignore[abstract]
    watch: Any = api.WatchEvents(request, context)
    async with contextlib.aclosing(watch):
        first, second = [(await anext(watch)).metrics.time.ToNanoseconds() for _ in range(2)]
    reading.cancel()
    assert second - first >= 200_000_000
