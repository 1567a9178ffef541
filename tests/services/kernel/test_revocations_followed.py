"""A process follows the table of revocations with as few statements as that takes."""

from __future__ import annotations

import asyncio

from services.kernel.database import Database
from services.kernel.endings import end
from services.kernel.identity import Identity, Role
from services.kernel.revocations import IN_FORCE, Revocations
from tests.support.sql import fetch
from tests.support.statements import statements_of

MEI = Identity("mei", Role.ADMIN, "issuer", token_id="one", issued_at=0.0)
REVOKE = """
    INSERT INTO celeriac_revocations (token_id, expires_at, actor) VALUES ('one', now() + '1 h', 'admin')
"""


async def test_the_table_is_read_once_at_the_start_and_once_after_a_notice(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    statements = await statements_of(database)
    revocations = Revocations(database)
    following = asyncio.create_task(revocations.run())
    try:
        async with asyncio.timeout(30):
            await revocations.known()
            assert not revocations.has(MEI)
            told = asyncio.Event()
            with revocations.told(told.set):
                await fetch(database_url, REVOKE)
                await told.wait()
    finally:
        await end([following])
        await database.close()
    assert revocations.has(MEI)
    assert statements.count(IN_FORCE) == 2
