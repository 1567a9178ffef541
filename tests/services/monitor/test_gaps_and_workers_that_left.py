"""A gap is repaired as soon as the workers whose answers it waited for are gone or deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import redis.asyncio
from celery import Celery

from services.kernel.broker_address import BrokerAddress
from services.kernel.broker_layout import Layout
from services.kernel.database import Database
from services.monitor.figures import Figures
from services.monitor.gaps.broker_lives import BrokerLives
from services.monitor.gaps.places import TaskPlaces
from services.monitor.gaps.repairing import GapRepair
from services.monitor.gaps.store_gaps import GapStore
from services.monitor.gaps.waiting import WaitingTasks
from services.monitor.intake.intake import HEARTBEAT_SECONDS, Intake
from services.monitor.intake.seen_gaps import GapCause, SeenGap
from services.monitor.intake.subscription import EventSource
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.control import Control
from services.monitor.workers.deletions import Deletions
from services.monitor.workers.worker import WorkerState
from services.monitor.workers.workers import WorkerTable
from tests.support.celery_workers import celery_app
from tests.support.events import heartbeat
from tests.support.servers import Valkey

NAME = WorkerName("silent@gaps", 7)
# No look comes by itself after the first.
PACE = replace(Pace(), gaps_look=3600.0)


@pytest.fixture
def app(broker: Valkey) -> Celery:
    broker.flush()
    return celery_app(broker.host, broker.port)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as connection:
        await connection.execute(
            "TRUNCATE celery_event_gaps, celery_event_listeners, celery_task_results_ext"
        )
        now = time.time()
        await GapStore(connection).record(SeenGap(GapCause.RELAY_CUT, now - 20, now - 10))
    yield database
    await database.close()


async def test_a_gap_that_waits_for_a_workers_answer_is_repaired_once_the_worker_is_deleted(
    database: Database, broker: Valkey, app: Celery
) -> None:
    workers, at = WorkerTable(), int(time.time() * 1e6)
    intake = Intake(
        EventSource(BrokerAddress(broker.host, broker.port)),
        database,
        Figures(),
        workers,
        on_tasks=lambda tasks: None,
        on_worker=lambda worker: None,
    )
    # It beats once a second, and was last heard ten seconds ago: so it is silent, and nobody answers for it.
    beat = {**heartbeat(time.time(), 0, hostname=NAME.hostname), "pid": NAME.pid, "freq": 1.0}
    workers.hear("worker-heartbeat", at - 10_000_000, beat, time.monotonic() - 10.0, at)
    workers.sweep(time.monotonic())
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        queues = BrokerQueues(client, Layout())
        waiting = WaitingTasks(client, Layout(), queues)
        control = Control(app, workers.there, 0.2)
        places = TaskPlaces(waiting, control, workers, intake)
        lives = BrokerLives(client, "", database)
        repair = GapRepair(database, intake, None, places, workers, lives, PACE)
        deletions = Deletions(database, workers, PACE, repair.worker_left)
        running = asyncio.gather(intake.run(), _begun(intake, repair))
        try:
            await _until(lambda: "no answer from silent@gaps" in repair.fault)
            assert [worker.state for worker in workers.find(NAME)] == [WorkerState.SILENT]
            await deletions.delete(NAME)
            await _until(lambda: not repair.open)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    app.close()


async def _begun(intake: Intake, repair: GapRepair) -> None:
    """Repairs once the intake writes, and knows which workers there are."""
    await _until(lambda: intake.writes and intake.listened > HEARTBEAT_SECONDS)
    await repair.loop.run()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  what it waits for tells nobody
            await asyncio.sleep(0.02)
