"""`celeriac.log_ids` in an application of its own, run by the stock `celery` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from celeriac import log_ids
from celery import Celery

from services.kernel.celery_message import REQUEST_HEADER, RUN_HEADER
from tests.support.calls import eventually
from tests.support.kept_logs import keep_under
from tests.support.servers import Valkey

RUN = "schedules/nightly/runs/2026-11-30T02:00:00Z"
APPLICATION = """
import json
import logging
import os
import sys

import structlog
from celery import Celery
from celery.signals import after_setup_logger

from celeriac import log_ids

app = Celery("shop", broker=os.environ["BROKER"])
app.conf.task_default_queue = "shop-of-log-ids"
# So that lines of structlog stand by themselves.
app.conf.worker_redirect_stdouts = False
log_ids.connect()
log = logging.getLogger("shop")
structlog.configure(processors=[log_ids.add_ids, structlog.processors.JSONRenderer()])


@after_setup_logger.connect
def with_ids(logger, **_):
    for handler in logger.handlers:
        handler.addFilter(log_ids.Filter())
        handler.setFormatter(logging.Formatter("[%(request_id)s %(task)s %(schedule)s %(run)s] %(message)s"))


@app.task(bind=True, max_retries=1)
def parent(self, wanted):
    log.warning("parent says")
    if self.request.retries < wanted:
        raise self.retry(countdown=0)
    structlog.get_logger().info("parent.said", grpc="grpc" in sys.modules)
    child.delay()
    in_place.apply()
    log.warning("parent again")


@app.task
def child():
    structlog.get_logger().info("child.said", **{"schedule": "its own"})


@app.task
def in_place():
    log.warning("in place " + json.dumps(log_ids.current()))
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[Path]:
    """The log of a worker."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APPLICATION)
    path = keep_under(folder / "worker.log", "shop-worker")
    environment = {**os.environ, "BROKER": f"redis://{valkey.host}:{valkey.port}/0"}
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool=threads", "--concurrency=2"]
    with path.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--without-mingle", "--without-gossip"],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        yield path
    finally:
        process.terminate()
        process.wait(60)


def said_after(log: Path, valkey: Valkey, headers: dict[str, str], wanted: int = 0) -> list[str]:
    """What the worker's tasks say, once the child has been heard."""
    before = len(log.read_text())
    with Celery("sender", broker=f"redis://{valkey.host}:{valkey.port}/0") as app:
        app.send_task("shop.parent", [wanted], queue="shop-of-log-ids", headers=headers)
    found = eventually(lambda: text if "child.said" in (text := log.read_text()[before:]) else "", 90)
    return str(found).splitlines()


def test_the_lines_of_a_task_and_of_those_that_it_sends_have_the_ids(log: Path, valkey: Valkey) -> None:
    request_id = f"ticket-{uuid.uuid4().hex}"
    headers = {log_ids.REQUEST_HEADER: request_id, log_ids.RUN_HEADER: RUN}
    lines = said_after(log, valkey, headers, wanted=1)
    of_parent = f"[{request_id} shop.parent nightly {RUN}] "
    # A retry by Celery itself keeps the headers.
    assert [line for line in lines if "parent says" in line] == [f"{of_parent}parent says"] * 2
    events = {
        line["event"]: line for line in map(json.loads, (each for each in lines if each.startswith("{")))
    }
    parent, child = events["parent.said"], events["child.said"]
    assert (parent["request_id"], parent["run"], parent["schedule"]) == (request_id, RUN, "nightly")
    assert (child["request_id"], child["run"], child["task"]) == (request_id, RUN, "shop.child")
    assert child["schedule"] == "its own" and child["task_id"] != parent["task_id"]
    assert parent["grpc"] is False
    # A task within a task has its own ids, and leaves those of the other.
    [inner] = [line for line in lines if "in place" in line]
    assert inner.startswith("[ shop.in_place")
    assert f"{of_parent}parent again" in lines


def test_lines_outside_of_a_task_and_of_tasks_without_headers_have_empty_ids(
    log: Path, valkey: Valkey
) -> None:
    lines = said_after(log, valkey, {})
    assert "[ shop.parent  ] parent says" in lines
    assert log_ids.current() == {}


def test_the_headers_are_those_of_the_services() -> None:
    assert (log_ids.REQUEST_HEADER, log_ids.RUN_HEADER) == (REQUEST_HEADER, RUN_HEADER)
