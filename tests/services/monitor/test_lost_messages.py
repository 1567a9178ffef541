"""A broker that loses data: what was lost with it is LOST, and what its disk kept waits as it did."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import kombu.pools
import pytest
from celeriac.monitor.v1 import system_pb2
from celeriac.monitor.v1 import tasks_pb2 as pb

from tests.support.calls import eventually
from tests.support.celery_workers import celery_app, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

WORKER = "keeps@test"


@pytest.fixture(autouse=True)
def _new_connections() -> Iterator[None]:
    """Connections that kombu keeps in this process may be to a server that is gone."""
    yield
    kombu.pools.reset()


def lose(broker: Valkey) -> None:
    """Kills the broker's server; it comes back without its data."""
    assert broker.process is not None
    broker.process.kill()
    broker.stop()
    for kept in broker.folder.iterdir():
        if kept.is_dir():
            shutil.rmtree(kept)
        else:
            kept.unlink()
    broker.start()
    kombu.pools.reset()


def state_of(monitor: Monitor, task_id: str) -> int:
    try:
        state: int = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task.state
    except grpc.RpcError:
        return pb.TASK_STATE_UNSPECIFIED
    return state


def repaired(monitor: Monitor) -> int:
    listed = monitor.system.ListEventGaps(
        system_pb2.ListEventGapsRequest(states=[system_pb2.EVENT_GAP_STATE_REPAIRED])
    )
    return len(listed.gaps)


def test_what_waits_on_a_broker_that_kept_its_data_waits_on(monitor: Monitor, broker: Valkey) -> None:
    app = celery_app(broker.host, broker.port)
    before = app.send_task("add", [1, 2], queue="nobody").id
    eventually(lambda: state_of(monitor, before) == pb.TASK_STATE_PENDING)
    gaps = repaired(monitor)
    broker.stop()
    broker.start()
    eventually(lambda: repaired(monitor) > gaps, 60)
    assert state_of(monitor, before) == pb.TASK_STATE_PENDING
    app.close()


def test_what_waited_on_a_broker_that_lost_its_data_is_lost_until_it_is_heard_of_again(
    monitor: Monitor, broker: Valkey, tmp_path: Path
) -> None:
    app = celery_app(broker.host, broker.port)
    with running_worker(broker, tmp_path, name=WORKER) as worker:
        monitor.await_worker(WORKER)
        goes_on = app.send_task("sleep", [600]).id
        eventually(lambda: state_of(monitor, goes_on) == pb.TASK_STATE_STARTED)
        # It holds the second task unacknowledged, and nobody has the third.
        held, waits = app.send_task("add", [1, 2]).id, app.send_task("add", [1, 2], queue="nobody").id
        eventually(lambda: state_of(monitor, held) == pb.TASK_STATE_RECEIVED)
        eventually(lambda: state_of(monitor, waits) == pb.TASK_STATE_PENDING)
        app.close()
        lose(broker)
        eventually(lambda: state_of(monitor, waits) == pb.TASK_STATE_LOST, 60)
        task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{waits}")).task
        assert "the broker has lost data" in task.state_reason
        eventually(lambda: state_of(monitor, held) == pb.TASK_STATE_LOST)
        assert state_of(monitor, goes_on) == pb.TASK_STATE_STARTED
        listed = monitor.tasks.ListTasks(pb.ListTasksRequest(states=[pb.TASK_STATE_LOST])).tasks
        assert {task.name for task in listed} >= {f"tasks/{waits}", f"tasks/{held}"}
        worker.kill()
    app = celery_app(broker.host, broker.port)
    app.send_task("add", [1, 2], task_id=waits)
    app.close()
    with running_worker(broker, tmp_path, name="next@test"):
        eventually(lambda: state_of(monitor, waits) == pb.TASK_STATE_SUCCESS)
