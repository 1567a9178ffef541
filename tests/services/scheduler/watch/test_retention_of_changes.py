"""The log of changes is kept for as long as a setting says, by a scheduler with no right but its own."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc

from tests.support.calls import Caller, eventually
from tests.support.schedulers import Scheduler

KEY = "configs/scheduler.changes.retention"
OLD = "INSERT INTO celery_schedule_changes (kind, recorded_at) VALUES ('updated', now() - interval '2 days')"
HOW_MANY = "SELECT count(*) FROM celery_schedule_changes WHERE recorded_at < now() - interval '1 day'"


def fetch(url: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_changes_that_are_too_old_are_deleted(lone_scheduler: Scheduler, database_url: str) -> None:
    fetch(database_url, OLD)
    # A change of the setting is followed at once.
    config = Caller(config_pb2_grpc.ConfigServiceStub(lone_scheduler.channel), lone_scheduler.token)
    value = config_pb2.ConfigValue(duration_value={"seconds": 7200})
    config.SetConfig(config_pb2.SetConfigRequest(name=KEY, value=value))
    eventually(lambda: fetch(database_url, HOW_MANY) == 0)
    assert "retention.failed" not in lone_scheduler.process.log()
