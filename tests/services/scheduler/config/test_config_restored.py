"""The database is restored from a backup: who followed the configuration begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc
from sqlalchemy.engine import make_url

from deploy.standalone.tokens import LocalIssuer
from services.kernel.live_keys import CHUNK_CHARACTERS, MOST_WAITING_TOKENS
from services.kernel.live_settings import Follower, LiveSettings
from tests.support.calls import Caller, eventually, refused
from tests.support.configurations import CHUNKS, WAITING, put
from tests.support.processes import SOON_AGAIN, ServiceProcess, environment_of
from tests.support.servers import Valkey, create_migrated_database


class Restorable:
    """A scheduler on a database of its own, of which backups are made and restored while it is stopped."""

    def __init__(self, process: ServiceProcess, postgres_url: str, database: str, token: str) -> None:
        self.process = process
        self._postgres_url = postgres_url
        self._database = database
        self._token = token

    def config(self, channel: grpc.Channel) -> Any:
        return Caller(config_pb2_grpc.ConfigServiceStub(channel), self._token)

    async def put(self, name: str, number: int) -> pb.Config:
        """Set a value, from a thread: a blocking channel closed inside the loop of grpc.aio can hang."""
        return await asyncio.to_thread(self._put, name, number)

    def _put(self, name: str, number: int) -> pb.Config:
        with self.process.channel() as channel:
            return put(self.config(channel), name, pb.ConfigValue(int_value=number))

    async def refused(self, request: pb.SetConfigRequest) -> grpc.StatusCode:
        return await asyncio.to_thread(self._refused, request)

    def _refused(self, request: pb.SetConfigRequest) -> grpc.StatusCode:
        with self.process.channel() as channel:
            code, _ = refused(self.config(channel).SetConfig, request)
        return code

    async def while_stopped(self, *statements: str) -> None:
        await asyncio.to_thread(self.process.stop)
        connection = await asyncpg.connect(self._postgres_url)
        for statement in statements:
            await connection.execute(statement.format(database=self._database))
        await connection.close()
        await asyncio.to_thread(self.process.start)

    async def back_up(self) -> None:
        await self.while_stopped('CREATE DATABASE "{database}-backup" TEMPLATE "{database}"')

    async def restore(self) -> None:
        await self.while_stopped(
            'DROP DATABASE "{database}"', 'CREATE DATABASE "{database}" TEMPLATE "{database}-backup"'
        )


@pytest.fixture
async def restorable(
    certificates: Path, tokens: LocalIssuer, postgres_url: str, valkey: Valkey
) -> AsyncIterator[Restorable]:
    url = await create_migrated_database(postgres_url)
    process = ServiceProcess(
        "scheduler", certificates, environment_of("scheduler", certificates, url, valkey)
    )
    await asyncio.to_thread(process.start)
    try:
        database = make_url(url).database
        assert database
        yield Restorable(process, postgres_url, database, tokens.mint("admin"))
    finally:
        await asyncio.to_thread(process.stop)


async def test_a_follower_knows_what_the_restored_database_has(restorable: Restorable) -> None:
    live = LiveSettings("embedder")
    process = restorable.process
    async with grpc.aio.secure_channel(
        process.address, process.credentials("embedder"), SOON_AGAIN
    ) as channel:
        following = asyncio.create_task(Follower(live, channel).run())
        try:
            await restorable.put(CHUNKS, 7000)
            await restorable.back_up()
            lost = await restorable.put(CHUNKS, 8000)
            await asyncio.to_thread(eventually, lambda: live.get(CHUNK_CHARACTERS) == 8000)
            await restorable.restore()
            # Its revision has the number of the one that was lost: the number alone shows no restore.
            made = await restorable.put(WAITING, 5000)
            assert made.revision == lost.revision
            await asyncio.to_thread(eventually, lambda: live.get(MOST_WAITING_TOKENS) == 5000)
            assert live.get(CHUNK_CHARACTERS) == 7000
        finally:
            following.cancel()


async def test_an_etag_from_before_the_restore_is_another_one(restorable: Restorable) -> None:
    await restorable.back_up()
    lost = await restorable.put(CHUNKS, 8000)
    await restorable.restore()
    made = await restorable.put(CHUNKS, 9000)
    assert made.revision == lost.revision
    late = pb.SetConfigRequest(name=CHUNKS, value={"int_value": 10_000}, etag=lost.etag)
    assert await restorable.refused(late) is grpc.StatusCode.ABORTED
