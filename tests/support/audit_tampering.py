"""What a database administrator can do to the audit log's tables, and how it is put right again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import asyncpg
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.checkpoint import NoteSigner
from services.audit.merkle import Tree, leaf_hash
from services.kernel.outbox import canonical
from tests.support.audit_entries import intent

ORIGIN = "celeriac.local/audit"
NEWEST = "size = (SELECT max(size) FROM celery_audit_checkpoints)"
TABLES = ("celery_audit_logs", "celery_audit_checkpoints")
# Takes a superuser's connection, and the file with the log's own key.
Tampering = Callable[[asyncpg.Connection, Path], Awaitable[None]]


@contextlib.contextmanager
def tampered(database_url: str, tampering: Tampering, audit_key: Path) -> Iterator[None]:
    """Does it past the triggers that keep the tables append-only; at the end all is as it was before."""
    asyncio.run(_tamper(database_url, tampering, audit_key))
    try:
        yield
    finally:
        asyncio.run(_put_right(database_url))


@contextlib.asynccontextmanager
async def tampered_meanwhile(database_url: str, tampering: Tampering, audit_key: Path) -> AsyncIterator[None]:
    """`tampered`, for tests with an event loop."""
    await _tamper(database_url, tampering, audit_key)
    try:
        yield
    finally:
        await _put_right(database_url)


async def _tamper(database_url: str, tampering: Tampering, audit_key: Path) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for table in TABLES:
            await connection.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
        async with _past_triggers(connection):
            await tampering(connection, audit_key)
    finally:
        await connection.close()


async def _put_right(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with _past_triggers(connection):
            for table in TABLES:
                await connection.execute(f"DELETE FROM {table}")
                await connection.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        for table in TABLES:
            await connection.execute(f"DROP TABLE kept_{table}")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _past_triggers(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """One transaction, so that the service sees all of it at once; a superuser's triggers do not fire."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        yield


def by_sql(*statements: str) -> Tampering:
    async def tamper(connection: asyncpg.Connection, audit_key: Path) -> None:
        for statement in statements:
            await connection.execute(statement)

    return tamper


async def forge_history(connection: asyncpg.Connection, audit_key: Path) -> None:
    """Rewrites an entry consistently, and makes the newest checkpoint's frontier match."""
    await _rewrite_entry(connection)
    await connection.execute(
        f"UPDATE celery_audit_checkpoints SET frontier = $1 WHERE {NEWEST}",
        list((await _tree(connection)).frontier),
    )


async def forge_history_and_root(connection: asyncpg.Connection, audit_key: Path) -> None:
    """The same, and the column `root` with it; the note stays, as only the key's holder can sign another."""
    await forge_history(connection, audit_key)
    await connection.execute(
        f"UPDATE celery_audit_checkpoints SET root = $1 WHERE {NEWEST}", (await _tree(connection)).root()
    )


async def fork(connection: asyncpg.Connection, audit_key: Path) -> None:
    """Another history of the same size under the log's own key, as of a replica on a copy of the database."""
    await _rewrite_entry(connection)
    await _sign(connection, NoteSigner.load(ORIGIN, audit_key))


async def longer_fork(connection: asyncpg.Connection, audit_key: Path) -> None:
    """Another history under the log's own key, with one entry more."""
    await _rewrite_entry(connection)
    await add_entry(connection, audit_key)
    tree, signer = await _tree(connection), NoteSigner.load(ORIGIN, audit_key)
    await connection.execute(
        "INSERT INTO celery_audit_checkpoints (size, root, frontier, note) VALUES ($1, $2, $3, $4)",
        tree.size,
        tree.root(),
        list(tree.frontier),
        signer.sign(tree.size, tree.root()),
    )


async def add_entry(connection: asyncpg.Connection, audit_key: Path) -> None:
    """An entry beyond the newest checkpoint."""
    body = canonical(intent(actor="inserted"))
    await connection.execute(
        "INSERT INTO celery_audit_logs SELECT (jsonb_populate_record(newest, jsonb_build_object("
        " 'index', newest.index + 1, 'event_id', gen_random_uuid(), 'actor', 'inserted'))).*"
        " FROM celery_audit_logs newest ORDER BY index DESC LIMIT 1"
    )
    await connection.execute(
        "UPDATE celery_audit_logs SET body = $1, leaf_hash = $2 WHERE actor = 'inserted'",
        body,
        leaf_hash(body),
    )


async def sign_with_another_key(connection: asyncpg.Connection, audit_key: Path) -> None:
    await _sign(connection, NoteSigner(ORIGIN, Ed25519PrivateKey.generate()))


async def sign_for_another_origin(connection: asyncpg.Connection, audit_key: Path) -> None:
    await _sign(connection, NoteSigner.load("elsewhere.example.com/audit", audit_key))


async def shift_bytes_between_nodes(connection: asyncpg.Connection, audit_key: Path) -> None:
    """Nodes of 31 and 33 bytes, which give the same root as the 32 and 32 from which they are made."""
    nodes: Sequence[bytes] = await connection.fetchval(
        f"SELECT frontier FROM celery_audit_checkpoints WHERE {NEWEST}"
    )
    assert len(nodes) > 1, "a frontier of one node has no bytes to shift"
    *others, left, right = nodes
    await connection.execute(
        f"UPDATE celery_audit_checkpoints SET frontier = $1 WHERE {NEWEST}",
        [*others, left[:-1], left[-1:] + right],
    )


async def _rewrite_entry(connection: asyncpg.Connection) -> None:
    row = await connection.fetchrow("SELECT index, body FROM celery_audit_logs WHERE kind = 'intent' LIMIT 1")
    body = canonical(orjson.loads(row["body"]) | {"actor": "innocent"})
    await connection.execute(
        "UPDATE celery_audit_logs SET body = $1, leaf_hash = $2, actor = 'innocent' WHERE index = $3",
        body,
        leaf_hash(body),
        row["index"],
    )


async def _tree(connection: asyncpg.Connection) -> Tree:
    tree = Tree()
    tree.extend(
        row["leaf_hash"]
        for row in await connection.fetch("SELECT leaf_hash FROM celery_audit_logs ORDER BY index")
    )
    return tree


async def _sign(connection: asyncpg.Connection, signer: NoteSigner) -> None:
    tree = await _tree(connection)
    await connection.execute(
        f"UPDATE celery_audit_checkpoints SET root = $1, frontier = $2, note = $3 WHERE {NEWEST}",
        tree.root(),
        list(tree.frontier),
        signer.sign(tree.size, tree.root()),
    )
