"""The relay and the monitor's intake, each in a process of its own: python -m benchmarks.monitor.ours

    host port database-url

The relay keeps events in a stream of the same server, as on one machine; the intake reads them, and writes to
PostgreSQL. Prints "ready", takes events in until a line comes on its standard input and no more event comes,
and prints what it counted as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

import redis.asyncio
import uvloop

from benchmarks.monitor.relay import DATABASE
from services.kernel import logging
from services.kernel.broker_address import BrokerAddress
from services.kernel.database import Database
from services.monitor.figures import Figures
from services.monitor.intake.intake import Intake
from services.monitor.intake.kept_events import KeptStream
from services.monitor.intake.subscription import EventSource
from services.monitor.workers.workers import WorkerTable

QUIET_SECONDS = 1.5


class Watch:
    """Looks at the figures each 50 ms."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self.listening = asyncio.Event()
        self.worst_lag = 0.0

    async def run(self) -> None:
        while True:
            if self._figures.listening:
                self.listening.set()
            self.worst_lag = max(self.worst_lag, self._figures.event_lag or 0.0)
            await asyncio.sleep(0.05)


async def main(host: str, port: int, database_url: str) -> None:
    logging.configure("monitor", "WARNING")
    relay = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.monitor.relay", host, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert relay.stdout is not None
    assert await relay.stdout.readline() == b"ready\n"
    database, figures, workers = Database(database_url), Figures(), WorkerTable()
    store = redis.asyncio.Redis(host=host, port=port, db=DATABASE)
    intake = Intake(
        EventSource(BrokerAddress(host, port)),
        database,
        figures,
        workers,
        on_tasks=lambda _: None,
        on_worker=lambda _: None,
        watched=lambda: False,
        kept=KeptStream(store),
    )
    watch = Watch(figures)
    running = [asyncio.create_task(intake.run()), asyncio.create_task(watch.run())]
    await watch.listening.wait()
    before = time.process_time()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    heard = -1
    while figures.events_total != heard or intake.waiting_tasks:
        heard = figures.events_total
        await asyncio.sleep(QUIET_SECONDS)
    of_relay = json.loads((await relay.communicate(b"finish\n"))[0])
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counted = {
        "events": sum(figures.by_queue.values()),
        "lost_known": figures.events_lost,
        "cuts": figures.stream_cuts,
        "missing": figures.messages_missing,
        "dropped": figures.tasks_dropped,
        "rows_written": figures.rows_written,
        "cpu": time.process_time() - before + of_relay["cpu"],
        "cpu_of_relay": of_relay["cpu"],
        "worst_lag": watch.worst_lag,
        "peak_mb": own + of_relay["peak_mb"],
        "peak_mb_of_relay": of_relay["peak_mb"],
    }
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await database.close()
    await store.aclose()
    print(json.dumps(counted), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
