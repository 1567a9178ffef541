"""A broker that comes back without its data: what was lost with it is marked, or sent again."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import kombu.pools
import pytest
import redis
from celeriac.scheduler.v1 import schedules_pb2 as pb

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.runs import task_id_of
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey, temporary_valkey

PUBLISHED, LOST = pb.RUN_STATE_PUBLISHED, pb.RUN_STATE_LOST


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture
def monitor(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> Iterator[Monitor]:
    with running_monitor(certificates, tokens, database_url, valkey) as monitor:
        yield monitor


@pytest.fixture
def scheduler(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, monitor: Monitor
) -> Iterator[Scheduler]:
    settings = {"CELERIAC_MONITOR_ADDRESS": monitor.process.address}
    with running_scheduler(certificates, tokens, database_url, valkey, **settings) as scheduler:
        eventually(lambda: identity(valkey))
        yield scheduler


def identity(valkey: Valkey) -> bytes | None:
    with redis.Redis(valkey.host, valkey.port) as client:
        found: bytes | None = client.get("celeriac:broker")
    return found


def triggered(scheduler: Scheduler, queue: str, *, resend: bool = False) -> str:
    """A schedule that comes due never, with one run of now."""
    name = f"schedules/l-{uuid.uuid4().hex[:8]}"
    schedule = pb.Schedule(
        name=name,
        task=pb.TaskSpec(task_name="add", args_json="[1, 2]", queue=f"queues/{queue}"),
        timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *")),
        resend_lost=resend,
    )
    stored = scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule)).schedule
    assert stored.resend_lost == resend
    run = scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name)).run
    assert run.state == PUBLISHED
    return name


def queued(valkey: Valkey, queue: str) -> list[str]:
    with redis.Redis(valkey.host, valkey.port) as client:
        return [json.loads(message)["headers"]["id"] for message in client.lrange(queue, 0, -1)]


def lose_all(valkey: Valkey) -> None:
    valkey.stop()
    for kept in valkey.folder.iterdir():
        if kept.is_dir():
            shutil.rmtree(kept)
        else:
            kept.unlink()
    valkey.start()
    # Connections that kombu keeps in this process.
    kombu.pools.reset()


def test_what_the_broker_lost_is_marked_or_sent_again_and_what_a_worker_took_is_neither(
    scheduler: Scheduler, monitor: Monitor, valkey: Valkey, tmp_path: Path
) -> None:
    with running_worker(valkey, tmp_path, queues="taken") as worker:
        monitor.await_worker(worker.name)
        done = triggered(scheduler, "taken", resend=True)
        eventually(lambda: scheduler.runs(done)[0].outcome)
    marked, again = triggered(scheduler, "waits"), triggered(scheduler, "waits", resend=True)
    before = identity(valkey)
    lose_all(valkey)
    eventually(lambda: scheduler.runs(marked)[0].state == LOST, 60)
    assert identity(valkey) != before
    [run] = scheduler.runs(marked)
    assert "; lost: the broker lost its data at about " in run.reason
    eventually(lambda: scheduler.runs(again)[0].state == PUBLISHED, 60)
    [run] = scheduler.runs(again)
    assert "; sent again: the broker lost its data at about " in run.reason
    eventually(lambda: queued(valkey, "waits") == [task_id_of(run)])
    [run] = scheduler.runs(done)
    assert (run.state, run.outcome) == (PUBLISHED, pb.RUN_OUTCOME_SUCCEEDED)
    # What is published since is safe, also when the scheduler looks again.
    later = triggered(scheduler, "later", resend=True)
    scheduler.process.stop()
    scheduler.process.start()
    with running_worker(valkey, tmp_path, queues="waits,later", name="later@test"):
        for name in (again, later):
            eventually(lambda name=name: scheduler.runs(name)[0].outcome)
    assert not queued(valkey, "waits") and not queued(valkey, "later")


def test_a_broker_that_comes_back_with_its_data_has_lost_nothing(
    scheduler: Scheduler, monitor: Monitor, valkey: Valkey
) -> None:
    name = triggered(scheduler, "waits", resend=True)
    before = identity(valkey)
    valkey.stop()
    valkey.start()
    later = triggered_when_back(scheduler)
    eventually(lambda: scheduler.runs(later)[0].state == PUBLISHED)
    # Its identity alone is gone (evicted, or removed by hand): the message is still there.
    with redis.Redis(valkey.host, valkey.port) as client:
        client.delete("celeriac:broker", *client.keys("celeriac:run:*"))
    eventually(lambda: identity(valkey) not in (None, before), 60)
    scheduler.process.stop()
    scheduler.process.start()
    [run] = scheduler.runs(name)
    assert (run.state, run.reason) == (PUBLISHED, "triggered by mei")
    assert queued(valkey, "waits") == [task_id_of(run)]


def triggered_when_back(scheduler: Scheduler) -> str:
    name = f"schedules/l-{uuid.uuid4().hex[:8]}"
    schedule = pb.Schedule(
        name=name,
        task=pb.TaskSpec(task_name="add", queue="queues/back"),
        timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *")),
    )
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))
    return name
