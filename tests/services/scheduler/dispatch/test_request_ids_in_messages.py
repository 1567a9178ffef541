"""The message of a run tells which request asked for it, also if another process sends it, later."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
import structlog

from services.kernel.celery_message import REQUEST_HEADER, RUN_HEADER
from services.kernel.database import Database
from services.scheduler.backfill.backfill import Window
from services.scheduler.backfill.backfiller import Backfills
from services.scheduler.catalogue.catalogue import Catalogue
from services.scheduler.dispatch.delivery import Delivery
from services.scheduler.schedule.definition import RunState
from services.scheduler.schedule.names import run_name
from tests.support.dispatchers import delivery_to, dispatcher, due_schedules
from tests.support.servers import Valkey

CALL = {"request_id": "ticket-4711"}
NOW = dt.timedelta(0)


async def headers_of(client: redis.asyncio.Redis) -> list[dict[str, Any]]:
    """Those of the messages that were sent."""
    messages: Any = client.lrange("due", 0, -1)
    return [json.loads(message)["headers"] for message in await messages]


async def test_a_triggered_run_that_is_healed_has_the_id_of_the_request(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.flush()
    await due_schedules(database, 1, ago=-3600)

    async def dies(*_: Any) -> None:
        raise redis.exceptions.ConnectionError

    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        with monkeypatch.context() as broken, structlog.contextvars.bound_contextvars(**CALL):
            broken.setattr(Delivery, "publish", dies)
            run = await Catalogue(database, delivery_to(client, database)).trigger("s-0", "mei", None)
        assert run.state is RunState.PENDING and await headers_of(client) == []
        assert await delivery_to(client, database).heal(NOW) == 1
        [headers] = await headers_of(client)
    assert headers[REQUEST_HEADER] == "ticket-4711"
    assert (headers["id"], headers[RUN_HEADER]) == (run.task_id, run_name("s-0", run.due_at))


async def test_all_runs_of_a_backfill_have_the_id_of_the_request_that_began_it(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    await due_schedules(database, 1, ago=-3600)
    end = dt.datetime.now(dt.UTC)
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        backfills = Backfills(database, delivery_to(client, database))
        with structlog.contextvars.bound_contextvars(**CALL):
            window = Window("s-0", end - dt.timedelta(hours=3), end, 100, 100.0)
            begun = await backfills.begin(window, "mei", None, validate_only=False)
        # Sent by the loop, which serves no call.
        await backfills.send_ready()
        headers = await headers_of(client)
    assert len(headers) == begun.run_count == 3
    assert {each[REQUEST_HEADER] for each in headers} == {"ticket-4711"}
    assert len({each[RUN_HEADER] for each in headers}) == 3


async def test_a_run_that_is_due_names_itself_and_no_request(database: Database, valkey: Valkey) -> None:
    valkey.flush()
    await due_schedules(database, 1)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        [headers] = await headers_of(client)
    assert REQUEST_HEADER not in headers
    assert headers[RUN_HEADER].startswith("schedules/s-0/runs/")
