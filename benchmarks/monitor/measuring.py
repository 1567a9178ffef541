"""What one reading of all measures costs: python -m benchmarks.monitor.measuring

CPU time of this process for a reading, by its source, in milliseconds, with a real broker and database: at
200 queues, 200 names of tasks and 50 workers, and at 3, 5 and 2. A reading comes each 10 seconds. The workers
are of this machine: processes that sleep. Prints one line of JSON for each size.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

import psutil
import redis.asyncio

from benchmarks.servers import Valkey, temporary_postgres, temporary_valkey
from services.kernel.broker_layout import Layout
from services.kernel.database import Database
from services.monitor.figures import Figures
from services.monitor.measuring.health import HealthMeasures
from services.monitor.measuring.host import HostMeasures
from services.monitor.measuring.own_workers import Known, measured
from services.monitor.measuring.queues import BrokerMeasures
from services.monitor.measuring.tasks import TaskMeasures
from services.monitor.measuring.workers import WorkerMeasures
from services.monitor.messages.flow import Flows
from services.monitor.messages.measures import QueueMeasures
from services.monitor.messages.purging import emptied
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.pace import USUAL
from services.monitor.queues import BrokerQueues
from services.monitor.system.components import Components
from services.monitor.system.hanging import HangingLook
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.store_totals import TotalsStore
from services.monitor.totals.totals import Totals
from services.monitor.workers.stranded import Stranded
from services.monitor.workers.workers import WorkerTable
from tests.support.readings import Size
from tests.support.servers import create_migrated_database, make_template

SIZES = Size(200, 200, 50), Size(3, 5, 2)
ROUNDS = 30
MESSAGE = json.dumps({"headers": {"id": "0192", "task": "add"}, "body": "x" * 200})


class Platform:
    """A broker with queues, a database with totals, and a table of workers."""

    def __init__(self, size: Size, database: Database, valkey: Valkey) -> None:
        self.size, self.database = size, database
        self.client = redis.asyncio.Redis(host=valkey.host, port=valkey.port)
        self.figures, self.workers, self.totals = Figures(), WorkerTable(), Totals(database)
        self.names = [f"queue-{number}" for number in range(size.queues)]
        self.queues = BrokerQueues(self.client, Layout())

    async def fill(self) -> None:
        await self.client.flushall()
        for name in self.names:
            binding, member = Layout().binding_of(name)
            await self.client.sadd(binding, member)
            await self.client.lpush(name, MESSAGE)
        for number in range(self.size.workers):
            beat = {"hostname": f"w{number}@host", "pid": number + 1, "active": 1, "processed": 5, "freq": 2}
            at = int(time.time() * 1e6)
            self.workers.hear("worker-heartbeat", at, beat, time.monotonic(), at)
            self.workers.consumes(f"w{number}@host", frozenset(self.names), time.monotonic())
        await self.count()

    async def count(self) -> None:
        """A few tasks of each name, in each queue, as they end in ten seconds."""
        for number in range(max(self.size.names, self.size.queues)):
            name, queue = f"task-{number % self.size.names}", self.names[number % self.size.queues]
            for state in (TaskState.RECEIVED, TaskState.STARTED, TaskState.SUCCESS, TaskState.FAILURE):
                self.figures.task(name, queue, state, 0.1 * number if state is TaskState.SUCCESS else None)
        async with self.database.transaction() as connection:
            await TotalsStore(connection).add(self.figures.take_changes().added_up(), (1, 0), None)

    def sources(self) -> Mapping[str, Callable[[], Awaitable[Mapping[str, object]]]]:
        def no_flow() -> Mapping[str, int]:
            return dict.fromkeys(self.names, 5)

        async def not_sent(ids: object) -> Mapping[str, object]:
            return {}

        beside = QueueMeasures(
            WaitingMessages(self.client, Layout()),
            Flows(no_flow),
            self.workers.consumers,
            not_sent,  # type: ignore[arg-type]
        )
        host = HostMeasures()

        async def host_anew() -> Mapping[str, object]:
            # Else what was known a second ago is told again.
            host._figures._known_at = float("-inf")
            return await host.read()

        hanging = HangingLook(
            self.database,
            self.queues,
            self.workers.consumed,
            Stranded,
            lambda: emptied(self.client, Layout()),
            USUAL,
        )
        health = HealthMeasures(self.database, self.client, Components({}), hanging)
        return {
            "tasks": TaskMeasures(self.totals, self.figures, lambda: True).read,
            "queues": BrokerMeasures(self.queues, beside, self.workers.consumed).read,
            "workers": WorkerMeasures(self.workers, lambda: True).read,
            "host": host_anew,
            "gaps": health.gaps,
            "broker": health.broker,
        }


@contextlib.contextmanager
def processes(count: int) -> Iterator[Mapping[WorkerName, Known]]:
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(count)]
    try:
        yield {
            WorkerName(f"w{number}@host", each.pid): Known(psutil.Process(each.pid), ())
            for number, each in enumerate(started)
        }
    finally:
        for each in started:
            each.kill()
            each.wait()


async def costs(size: Size, url: str, valkey: Valkey) -> Mapping[str, float]:
    database = Database(await create_migrated_database(url))
    platform = Platform(size, database, valkey)
    await platform.fill()
    found = {}
    for name, read in platform.sources().items():
        await read()
        spent = 0.0
        for _ in range(ROUNDS):
            if name == "tasks":
                await platform.count()
            began = time.process_time()
            await read()
            spent += time.process_time() - began
        found[name] = 1e3 * spent / ROUNDS
    with processes(size.workers) as known:
        measured(known)
        began = time.process_time()
        for _ in range(ROUNDS):
            measured(known)
        found["own_workers"] = 1e3 * (time.process_time() - began) / ROUNDS
    found["whole"] = sum(found.values())
    await platform.client.aclose()
    await database.close()
    return {name: round(value, 2) for name, value in found.items()}


async def all_costs(url: str, valkey: Valkey) -> None:
    await make_template(url)
    for size in SIZES:
        sizes = {"queues": size.queues, "names": size.names, "workers": size.workers}
        print(json.dumps({**sizes, "milliseconds": await costs(size, url, valkey)}))


def main() -> None:
    with temporary_postgres() as url, temporary_valkey() as valkey:
        asyncio.run(all_costs(url, valkey))


if __name__ == "__main__":
    main()
