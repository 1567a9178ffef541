"""What the component `workers` says of those that are silent."""

from __future__ import annotations

from services.monitor.system.checks import workers_look
from services.monitor.system.components import Health
from services.monitor.workers.workers import WorkerTable
from tests.support.events import heartbeat

T = 1_790_000_000.0


async def test_silent_workers_are_told_beside_those_that_are_online_and_not_as_if_there_were_none() -> None:
    workers = WorkerTable()
    look = workers_look(workers)
    found = [await look()]
    for pid, second in ((7, 0.0), (8, 5.0)):
        workers.hear("worker-heartbeat", int(T * 1e6), heartbeat(T, 0, pid=pid), second)
    for second in (5.0, 7.0, 12.0, 100.0):
        workers.sweep(second)
        found.append(await look())
    healthy, degraded = Health.HEALTHY, Health.DEGRADED
    nothing = (degraded, "none is online: nothing that waits is run")
    assert [(each.health, each.detail) for each in found] == [
        nothing,
        (healthy, "2 online"),
        (healthy, "1 online, 1 silent"),
        (degraded, "none is online, 2 silent: dead, cut off, or too busy to say a word"),
        nothing,
    ]
