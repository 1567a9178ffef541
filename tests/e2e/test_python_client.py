"""The Python client on the whole system: what a program of another team would do first."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import celeriac
import celeriac.aio
import numpy as np
import pytest
from celeriac.monitor.v1.tasks import Task

from tests.support.calls import eventually
from tests.support.proxy import Proxy
from tests.support.system import System


@pytest.fixture
def client(system: System) -> Iterator[celeriac.Client]:
    target = f"127.0.0.1:{system.port}"
    with celeriac.connect(target, token=system.token(), ca=system.state / "ca.pem") as client:
        yield client


def test_a_schedule_is_made_run_waited_for_and_explained(client: celeriac.Client) -> None:
    name = f"client-{uuid.uuid4().hex[:8]}"
    made = client.schedules.create(
        {
            "name": name,
            "task": {"task_name": "cleanup_cache", "queue": "maintenance"},
            "timing": {"crontab": "0 0 29 2 *", "time_zone": "Asia/Taipei"},
        }
    )
    try:
        assert made.next_run_time is not None
        assert made.last_run_time is None
        run = client.schedules.trigger(name).wait(timeout=60)
        assert (run.outcome, run.error) == ("SUCCEEDED", "")
        assert [each.name for each in client.schedules.list_runs(parent=name)] == [run.name]
        assert client.schedules.explain(name).condition == "ACTIVE"
        assert client.tasks.get(run.task).state == "SUCCESS"
    finally:
        client.schedules.delete(name)
    with pytest.raises(celeriac.NotFound) as missing:
        client.schedules.get(name)
    assert missing.value.reason == "SCHEDULE_NOT_FOUND"
    assert missing.value.request_id


def test_texts_become_an_array_and_are_found_by_their_meaning(client: celeriac.Client) -> None:
    vectors = client.embeddings.embed(["忘記密碼", "password forgotten", "天氣"]).vectors
    assert isinstance(vectors, np.ndarray)
    assert vectors.shape == (3, 1024)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_a_trigger_whose_answer_is_lost_runs_once_and_tells_that_run(
    system: System, client: celeriac.Client
) -> None:
    name = "cleanup-cache-daily"

    def runs() -> set[str]:
        return {run.name for run in client.schedules.list_runs(parent=name)}

    before = runs()
    with Proxy(system.port).running() as proxy, ThreadPoolExecutor(1) as pool:
        target, ca = f"127.0.0.1:{proxy.port}", system.state / "ca.pem"
        with celeriac.connect(target, token=system.token(), ca=ca) as other:
            other.system.get_info()
            proxy.deafen()
            told = pool.submit(other.schedules.trigger, name)
            try:
                eventually(lambda: runs() - before)
            finally:
                proxy.heal()
            assert runs() - before == {told.result().name}


async def test_the_same_can_be_awaited(system: System) -> None:
    target = f"127.0.0.1:{system.port}"
    async with celeriac.aio.connect(target, token=system.token(), ca=system.state / "ca.pem") as client:
        run = await client.schedules.trigger("cleanup-cache-daily")
        assert (await run.wait(timeout=60)).outcome == "SUCCEEDED"
        assert "cleanup-cache-daily" in [each.id async for each in client.schedules.list()]


def test_a_watch_tells_of_a_task(client: celeriac.Client) -> None:
    watch = client.monitoring.watch(task_names="cleanup_cache", ended_only=True)
    events = iter(watch)
    next(events)  # the figures, which come at once
    run = client.schedules.trigger("cleanup-cache-daily")
    ended = next(event for event in events if isinstance(event, Task) and event.name == run.task)
    assert ended.state == "SUCCESS"
