"""What is shown of a task is what came of it: every kind of task, on every kind of worker.

Two columns are in every run of the tests, and all of them in `make soak`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from celeriac.monitor.v1 import tasks_pb2

from deploy.standalone.tokens import LocalIssuer
from tests.support.matrix_setups import Application, Setup
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, create_migrated_database

pytestmark = pytest.mark.timeout(400)

OLD = ("celery[redis]==5.4.0", "kombu[redis]==5.4.2")
QUIET = ("--without-heartbeat", "--without-gossip")
IN_EVERY_RUN = [
    Setup("prefork"),
    Setup("solo that says little", pool="solo", options=("--events", *QUIET)),
]
SOAKED = [
    Setup("threads", pool="threads"),
    Setup("gevent", pool="gevent", packages=("celery[redis]==5.7.0", "gevent")),
    Setup("prefork without heartbeat and gossip", options=("--events", *QUIET)),
    Setup("told to send events", options=()),
    Setup("Celery 5.4", packages=OLD),
    Setup("Celery 5.4 on threads", pool="threads", packages=OLD),
    Setup("Celery 5.4, solo", pool="solo", packages=OLD),
    Setup("a minute ahead", ahead=60),
    Setup("a minute behind", ahead=-60),
    Setup("a prefix of keys", prefix="shop."),
]
# Of the second an unheard end takes two looks.
BACKEND_SECONDS, SHOWN_SECONDS = 60, 10
ENDED = {"SUCCESS", "FAILURE", "REVOKED"}
# Tasks that end without a stored result, with what is shown of them. Without `acks_late` Celery tells of a
# rejection as of a failure; of `Ignore` it tells nothing at all.
UNSTORED = {"forget": "SUCCESS", "ignore": "ENDED", "reject": "FAILURE", "reject_late": "REJECTED"}
# Celery 5.4 tells nothing of that either.
UNSTORED_IN_5_4 = {**UNSTORED, "reject": "ENDED"}
# Celery 5.4 drops events that threads add while others are sent (celery/events/dispatcher.py, flush). So it
# may not be known how a task without a stored result has ended: these states are as true.
DROPPED_BY_THREADS = {"forget": "ENDED", "reject_late": "ENDED"}
# Never sent, as a task of its header has failed: no worker and no event tells of it, so it is not shown.
NEVER_SENT = {"failed chord"}


def stored(broker: Valkey, prefix: str, ids: dict[str, str]) -> dict[str, str]:
    """What the result backend says of each task that ended, by its kind."""
    with redis.Redis(broker.host, broker.port, db=1) as client:
        found: Any = client.mget([f"{prefix}celery-task-meta-{task_id}" for task_id in ids.values()])
    states = {kind: json.loads(meta)["status"] for kind, meta in zip(ids, found, strict=True) if meta}
    return {kind: state for kind, state in states.items() if state in ENDED}


def shown(monitor: Monitor, ids: dict[str, str]) -> dict[str, str]:
    """The state in which each task is shown, by its kind; only of those that are shown."""
    names = [f"tasks/{task_id}" for task_id in ids.values()]
    found = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=names)).tasks
    states = {task.name: tasks_pb2.TaskState.Name(task.state).removeprefix("TASK_STATE_") for task in found}
    return {kind: states[name] for kind, name in zip(ids, names, strict=True) if name in states}


@pytest.mark.parametrize(
    "setup",
    [*IN_EVERY_RUN, *(pytest.param(setup, marks=pytest.mark.soak) for setup in SOAKED)],
    ids=lambda setup: setup.name,
)
def test_each_task_is_shown_as_it_ended(
    setup: Setup,
    broker: Valkey,
    tmp_path: Path,
    certificates: Path,
    tokens: LocalIssuer,
    postgres_url: str,
) -> None:
    if setup.ahead and shutil.which("faketime") is None:
        pytest.skip("faketime is not installed (Debian's package of that name)")
    broker.flush()
    database_url = asyncio.run(create_migrated_database(postgres_url))
    application = Application(setup, tmp_path, broker)
    given = {"CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1"}
    if setup.prefix:
        given |= {"CELERIAC_BROKER_KEY_PREFIX": setup.prefix, "CELERIAC_RESULT_KEY_PREFIX": setup.prefix}
    with (
        running_monitor(certificates, tokens, database_url, broker, **given) as monitor,
        application.working(),
    ):
        monitor.await_worker("matrix@host")
        ids = application.send()
        wanted = wanted_of(broker, setup, ids)
        found: dict[str, str] = {}
        as_true = DROPPED_BY_THREADS if setup.packages == OLD and setup.pool == "threads" else {}
        right = {kind: {end, as_true.get(kind, end)} for kind, end in wanted.items()}
        deadline = time.monotonic() + SHOWN_SECONDS
        while time.monotonic() < deadline and wrong(found, right):
            found = shown(monitor, ids)
        assert wrong(found, right) == {}
        # Known from the result backend alone, and as free of secrets as what events tell.
        assert result_of(monitor, ids["silent secret"]) == "{'password': '[redacted]'}"


def wrong(found: dict[str, str], right: dict[str, set[str]]) -> dict[str, tuple[str | None, set[str]]]:
    return {kind: (found.get(kind), ends) for kind, ends in right.items() if found.get(kind) not in ends}


def result_of(monitor: Monitor, task_id: str) -> str:
    return str(monitor.tasks.GetTask(tasks_pb2.GetTaskRequest(name=f"tasks/{task_id}")).task.result)


def wanted_of(broker: Valkey, setup: Setup, ids: dict[str, str]) -> dict[str, str]:
    """Waits until every task has ended; returns how."""
    # A worker whose clock is behind waits so much longer for the time of a task that another clock has told,
    # and again for what it holds back meanwhile.
    deadline = time.monotonic() + BACKEND_SECONDS + 2 * max(0, -setup.ahead)
    while True:
        ended = stored(broker, setup.prefix, ids)
        if not (missing := ids.keys() - ended.keys() - UNSTORED.keys()):
            break
        assert time.monotonic() < deadline, f"not ended: {missing}"
        time.sleep(0.1)
    shown_ones = ended | (UNSTORED_IN_5_4 if setup.packages == OLD else UNSTORED)
    return {kind: end for kind, end in shown_ones.items() if kind not in NEVER_SENT}
