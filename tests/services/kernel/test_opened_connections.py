"""A connection that can't be made ready for use is closed at once, whatever stopped it."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import asyncpg
import pytest

from services.kernel import database as module
from services.kernel.database import Connection, driver_url, open_connection

SESSION = {"timezone": "UTC"}


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Connection]:
    """The connections that wait for an answer, without end, while they are made ready."""
    waiting: asyncio.Queue[Connection] = asyncio.Queue()

    async def wait(connection: Connection) -> None:
        waiting.put_nowait(connection)
        await connection.execute("SELECT pg_sleep(3600)")

    monkeypatch.setattr(module, "read_any_moment", wait)
    return waiting


async def test_of_a_caller_that_is_cancelled(database_url: str, stopped: asyncio.Queue[Connection]) -> None:
    caller = asyncio.create_task(open_connection(driver_url(database_url), SESSION))
    async with asyncio.timeout(20):
        connection = await stopped.get()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert caller.cancelled()
    assert connection.is_closed()


@pytest.mark.parametrize("error", [asyncpg.InsufficientPrivilegeError, asyncpg.InterfaceError, ValueError])
async def test_of_a_caller_that_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    made: list[Connection] = []

    async def refuse(connection: Connection) -> NoReturn:
        made.append(connection)
        raise error("refused")

    monkeypatch.setattr(module, "read_any_moment", refuse)
    with pytest.raises(Exception, match="refused"):
        await open_connection(driver_url(database_url), SESSION)
    assert [connection.is_closed() for connection in made] == [True]
