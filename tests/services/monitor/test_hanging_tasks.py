"""The component `tasks` tells what hangs, how many, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

import pytest
import redis.asyncio
from celery import Celery

from services.kernel.broker_layout import Layout
from services.kernel.database import Database
from services.monitor.messages.purging import Purges, Wish, emptied
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues
from services.monitor.system.components import Finding, Health
from services.monitor.system.hanging import HangingLook
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_tasks import TaskBatches, row_of
from services.monitor.workers.stranded import Stranded
from tests.support.events import Life
from tests.support.servers import Valkey

RUN = "schedules/nightly/runs/20261129T033000.000000Z"


@dataclass
class Hanging:
    """The look, with what the monitor knows of workers."""

    database: Database
    client: redis.asyncio.Redis
    consumed: Collection[str] | None = ("celery",)
    stranded: Stranded = field(default_factory=Stranded)

    def __post_init__(self) -> None:
        self.look = HangingLook(
            self.database,
            BrokerQueues(self.client, Layout()),
            lambda: self.consumed,
            lambda: self.stranded,
            lambda: emptied(self.client, Layout()),
            Pace(hanging_look=0),
        )

    async def keep(self, life: Life, eta: dt.datetime | None = None, **more: object) -> None:
        """Writes a task that was sent."""
        record, event = TaskRecord(life.id), {**life.sent(), **more}
        event["eta"] = None if eta is None else eta.isoformat()
        record.hear("task-sent", int(event["timestamp"] * 1e6), event)
        async with self.database.connection() as connection:
            batches = TaskBatches(connection)
            await batches.prepare()
            await batches.write([row_of(record)])


@pytest.fixture
async def hanging(broker: Valkey, database_url: str) -> AsyncIterator[Hanging]:
    broker.flush()
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("TRUNCATE celery_task_results_ext")
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        yield Hanging(database, client)
    await database.close()


def ago(**time: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(**time)


def degraded(finding: Finding) -> str:
    assert finding.health is Health.DEGRADED, finding
    return finding.detail


async def test_messages_on_a_queue_that_nobody_consumes_at_two_looks(hanging: Hanging, app: Celery) -> None:
    for queue in ("reports", "reports", "celery"):
        app.send_task("add", [1, 2], queue=queue)
    assert (await hanging.look()).health is Health.HEALTHY, "a worker may just be starting"
    said = degraded(await hanging.look())
    assert "no worker consumes the queues 'reports' (2), 2 messages in all: start one with -Q reports" in said
    hanging.consumed = None
    assert (await hanging.look()).health is Health.HEALTHY, "that is not known"
    hanging.consumed = {"reports", "celery"}
    await hanging.look()
    assert (await hanging.look()).health is Health.HEALTHY


async def test_runs_that_were_published_and_that_no_worker_has_received(hanging: Hanging) -> None:
    await hanging.keep(Life(ago(minutes=4).timestamp()), run=RUN)
    assert (await hanging.look()).health is Health.HEALTHY
    await hanging.keep(Life(ago(minutes=6).timestamp()), run=RUN)
    said = degraded(await hanging.look())
    assert said.startswith("1 runs were due more than 5 minutes ago") and RUN in said


async def test_runs_whose_queue_was_purged_wait_no_more_unless_the_purge_is_undone(
    hanging: Hanging, app: Celery
) -> None:
    for queue in ("reports", "celery"):
        await hanging.keep(Life(ago(minutes=6).timestamp(), queue=queue), run=RUN)
        app.send_task("add", [1, 2], queue=queue)
    hanging.consumed = {"reports", "celery"}
    purges = Purges(hanging.client, Layout())
    assert degraded(await hanging.look()).startswith("2 runs were due")
    await purges.purge(Wish("celery", expected=1, most=1), "mei")
    assert degraded(await hanging.look()).startswith("2 runs were due"), "which of them it had is not known"
    purge = await purges.purge(Wish("reports", expected=1), "mei")
    assert degraded(await hanging.look()).startswith("1 runs were due")
    await purges.undo(purge)
    assert degraded(await hanging.look()).startswith("2 runs were due")


async def test_tasks_whose_eta_is_long_past_and_no_others(hanging: Hanging) -> None:
    early = ago(hours=2).timestamp()
    await hanging.keep(Life(early))
    await hanging.keep(Life(early), ago(minutes=4))
    await hanging.keep(Life(early), ago(minutes=10), expires=ago(minutes=9).isoformat())
    assert (await hanging.look()).health is Health.HEALTHY
    await hanging.keep(Life(early), ago(minutes=6), name="report")
    said = degraded(await hanging.look())
    assert said.startswith("1 tasks have not begun more than 5 minutes after their eta, first a 'report'")


async def test_tasks_of_a_worker_that_is_gone(hanging: Hanging) -> None:
    hanging.stranded = Stranded({"one@host": 2}, 1, "no answer from two@host")
    said = degraded(await hanging.look())
    assert "2 tasks of workers that are gone (one@host) wait to be delivered again" in said
    assert "1 tasks of workers that are gone are being looked up: no answer from two@host" in said


async def test_while_the_broker_is_away_it_is_not_known(hanging: Hanging, broker: Valkey) -> None:
    broker.stop()
    try:
        assert "not known" in degraded(await hanging.look())
    finally:
        broker.start()
