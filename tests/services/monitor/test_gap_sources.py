"""Where the truth is read after a gap: the result backend, and what waits on the broker."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from celery import Celery

from services.kernel.broker_address import BrokerAddress
from services.kernel.broker_layout import Layout
from services.monitor.gaps import waiting
from services.monitor.gaps.results import MOST_BYTES, ResultBackend
from services.monitor.gaps.waiting import WaitingTasks
from services.monitor.queues import BrokerQueues
from services.monitor.tasks.result_client import opened_results
from tests.support.celery_workers import celery_app
from tests.support.odd_names import ODD_NAMES
from tests.support.servers import Valkey


@pytest.fixture
async def client(broker: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    broker.flush()
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        yield client


def app_of(broker: Valkey, prefix: str = "") -> Celery:
    app = celery_app(broker.host, broker.port)
    app.conf.broker_transport_options = {"global_keyprefix": prefix}
    app.conf.result_backend_transport_options = {"global_keyprefix": prefix}
    return app


# Celery's own call, which redis-py would have otherwise.
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
@pytest.mark.parametrize("prefix", ["", "myapp", "myapp:"])
async def test_ends_are_found_under_the_keys_that_celery_gives_them(
    broker: Valkey, client: redis.asyncio.Redis, prefix: str
) -> None:
    app = app_of(broker, prefix)
    app.backend.store_result("good", {"a": 1}, "SUCCESS")
    app.backend.store_result("bad", ValueError("no"), "FAILURE", traceback="Traceback …")
    app.backend.store_result("under way", None, "STARTED")
    app.backend.store_result("large", "x" * 100_000, "SUCCESS")
    app.close()
    async with opened_results(BrokerAddress(broker.host, broker.port, database=1)) as results:
        backend = ResultBackend(results, prefix)
        found = await backend.ends(["good", "bad", "under way", "large", "never"])
        ids = {task_id async for ids in backend.task_ids() for task_id in ids}
    assert {task_id: end.kind for task_id, end in found.items()} == {
        "good": "task-succeeded",
        "bad": "task-failed",
        "large": "task-succeeded",
    }
    assert found["good"].event == {"result": "{'a': 1}"}
    assert found["bad"].event == {"exception": "ValueError('no')", "traceback": "Traceback …"}
    assert ids == {"good", "bad", "under way", "large"}


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
async def test_ends_of_compressed_results_are_found_whatever_their_size(
    broker: Valkey, client: redis.asyncio.Redis
) -> None:
    app = app_of(broker)
    app.conf.result_compression = "gzip"
    hardly_compressible = "".join(random.Random(7).choices(string.printable, k=150_000))
    results = {"small": {"a": 1}, "long when unpacked": "x" * 500_000, "long": hardly_compressible}
    for task_id, result in results.items():
        app.backend.store_result(task_id, result, "SUCCESS")
    app.close()
    async with opened_results(BrokerAddress(broker.host, broker.port, database=1)) as backend:
        assert await backend.strlen("celery-task-meta-long") > MOST_BYTES
        found = await ResultBackend(backend).ends([*results, "never"])
    assert {task_id: end.kind for task_id, end in found.items()} == dict.fromkeys(results, "task-succeeded")
    assert found["small"].event == {"result": "{'a': 1}"}


async def test_a_key_of_another_kind_is_passed_over(broker: Valkey, client: redis.asyncio.Redis) -> None:
    await client.rpush("celery-task-meta-list", "what is this?")
    async with opened_results(BrokerAddress(broker.host, broker.port)) as results:
        assert await ResultBackend(results).ends(["list"]) == {}


@pytest.mark.parametrize("prefix", ["", "myapp:"])
async def test_tasks_that_wait_are_found_in_queues_of_every_priority_and_with_workers(
    broker: Valkey, client: redis.asyncio.Redis, prefix: str
) -> None:
    app = app_of(broker, prefix)
    sent = {app.send_task("add", (1, 2), queue="one", priority=priority).id for priority in (0, 3, 9)}
    sent |= {app.send_task("add", ('{"id": "not this"}', 2), queue="two").id}
    held = app.send_task("add", (3, 4), queue="held").id
    app.close()
    message: Any = await client.rpop(f"{prefix}held")
    await client.hset(f"{prefix}unacked", "tag", json.dumps([json.loads(message), "", "held"]))
    await client.lpush(f"{prefix}two", old_message("by the first protocol"))
    await client.lpush(f"{prefix}unbound", old_message("unbound"))
    layout = Layout(prefix)
    tasks = WaitingTasks(client, layout, BrokerQueues(client, layout))
    found, complete = await tasks.read(["unbound"])
    assert (found, complete) == (sent | {held, "by the first protocol", "unbound"}, True)


@pytest.mark.parametrize("task_id", [*ODD_NAMES, '"', "\\", '\\"', "\t", "工作-1", "🥬", "a\0b"])
async def test_a_task_that_waits_is_found_whatever_its_id(
    broker: Valkey, client: redis.asyncio.Redis, task_id: str
) -> None:
    """JSON escapes some characters of an id, and how is up to the program that sends the message."""
    app = app_of(broker, "")
    app.send_task("add", (1, 2), queue="held", task_id=task_id)
    message: Any = await client.rpop("held")
    waits = WaitingTasks(client, Layout(), BrokerQueues(client, Layout()))
    for sent in (message, json.dumps(json.loads(message), ensure_ascii=False), old_message(task_id)):
        await client.lpush("held", sent)
        assert await waits.read(["held"]) == ({shown(task_id)}, True)
        await client.delete("held")
        await client.hset("unacked", "tag", json.dumps([json.loads(sent), "", "held"]))
        assert await waits.read(["held"]) == ({shown(task_id)}, True)
        await client.delete("unacked")
    app.close()


def shown(task_id: str) -> str:
    """Returns the id as the task's events tell it to the monitor."""
    return task_id.replace("\0", "\ufffd")


def old_message(task_id: str) -> str:
    body: dict[str, Any] = {"task": "add", "id": task_id, "args": [1, 2]}
    return json.dumps({"body": base64.b64encode(json.dumps(body).encode()).decode(), "headers": {}})


async def test_more_than_are_looked_at_is_said(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_MESSAGES", 10)
    await client.sadd("_kombu.binding.many", "many\x06\x16\x06\x16many")
    await client.lpush("many", *(old_message(f"task {number}") for number in range(1_200)))
    tasks = WaitingTasks(client, Layout(), BrokerQueues(client, Layout()))
    found, complete = await tasks.read(())
    assert (len(found), complete) == (500, False)
