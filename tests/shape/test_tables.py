"""Each service's `tables.py`, and the kernel's, says what its migrations leave in the database.

`compare_metadata` is what `alembic revision --autogenerate` finds: tables, columns, their types and defaults,
keys, indexes. It does not see checks, collations, how columns are generated, conditions and directions of
indexes. So the tables are made from the metadata, too, and PostgreSQL's catalogue says the same of both.

What neither sees, as SQLAlchemy has no words for it: functions and triggers (tests of what they do, and
tests/services/scheduler/watch/test_logged_columns.py), rights (test_rights.py), row security
(tests/services/kernel/test_rights_on_operations.py), the views celery_schedule_runs_seen and
embedder_operations and any other, the storage and compression of columns, owners and settings of sequences,
sequences that no column owns, the order of columns, settings of tables (fill factor, autovacuum), rules,
triggers that are switched off, extended statistics, indexes that are not valid, tables outside the schema
public. No table is partitioned; a partition would be seen as a table of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData, Text, pool
from sqlalchemy.ext.asyncio import create_async_engine

from services import STORING
from services.kernel.sessions import asyncpg_url
from services.kernel.tables import TransactionId
from tests.support.servers import create_database
from tests.support.sql import fetch_sync

# The kernel's come first: tables of services refer to them.
HISTORIES = ("kernel", *STORING)
TABLES: dict[str, MetaData] = {
    history: importlib.import_module(f"services.{history}.tables").metadata for history in HISTORIES
}
ARCHITECTURE = Path(__file__).parents[2] / "docs/architecture.md"
ANSWER = TypeVar("ANSWER")

MADE = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'"
COLUMNS = """
    SELECT attrelid::regclass::text AS table, attname AS name, format_type(atttypid, atttypmod) AS type,
        attnotnull, attidentity::text, attgenerated::text, collname, pg_get_expr(adbin, adrelid) AS expression
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid AND relkind IN ('r', 'p')
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
"""
# NOT NULL, which newer versions of PostgreSQL keep as constraints, is of the columns.
CONSTRAINTS = """
    SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid <> 0
"""
INDEXES = """
    SELECT indrelid::regclass::text AS table, indexrelid::regclass::text AS name,
        pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace
"""


def on(url: str, ask: Callable[[Connection], ANSWER]) -> ANSWER:
    """What is answered on a connection of SQLAlchemy, in a transaction that is committed."""

    async def asked() -> ANSWER:
        engine = create_async_engine(asyncpg_url(url), poolclass=pool.NullPool)
        async with engine.begin() as connection:
            return await connection.run_sync(ask)

    return asyncio.run(asked())


def differences(url: str, metadata: MetaData) -> Sequence[Any]:
    """What a migration would have to do for the database to have these tables."""

    def own(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in metadata.tables

    def ask(connection: Connection) -> Sequence[Any]:
        dialect: Any = connection.dialect
        dialect.ischema_names = {**dialect.ischema_names, "xid8": TransactionId}
        options = {"compare_type": True, "compare_server_default": True, "include_name": own}
        found: Sequence[Any] = compare_metadata(
            MigrationContext.configure(connection, opts=options), metadata
        )
        return found

    return on(url, ask)


def told(url: str, query: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    """By table and name, without the tables in which Alembic keeps its place."""
    rows = fetch_sync(url, query)
    return {
        (row["table"], row["name"]): tuple(row) for row in rows if not row["table"].startswith("alembic_")
    }


@pytest.fixture(scope="module")
def made_from_metadata(postgres_url: str) -> str:
    """A database with the tables of all services, none of it by a migration."""
    url = asyncio.run(create_database(postgres_url))
    for metadata in TABLES.values():
        on(url, metadata.create_all)
    return url


def test_each_table_belongs_to_one_service_or_to_the_kernel(database_url: str) -> None:
    declared = [name for metadata in TABLES.values() for name in metadata.tables]
    assert sorted(declared) == sorted(row["tablename"] for row in fetch_sync(database_url, MADE))


@pytest.mark.parametrize("service", HISTORIES)
def test_the_architecture_lists_the_tables_of_each_service(service: str) -> None:
    row = re.search(rf"^\| {service} \| (.*) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    assert row
    own = {name for name in TABLES[service].tables if not name.startswith("audit_outbox_")}
    assert set(re.findall(r"`(\w+)`", row[1])) == own


@pytest.mark.parametrize("service", HISTORIES)
def test_migrations_leave_nothing_to_do(service: str, database_url: str) -> None:
    assert differences(database_url, TABLES[service]) == []


@pytest.mark.parametrize("service", HISTORIES)
def test_a_column_that_no_migration_makes_is_found(service: str, database_url: str) -> None:
    metadata = MetaData()
    # Copies of tables refer to others by name, so those of the kernel must be among them.
    for table in {**TABLES["kernel"].tables, **TABLES[service].tables}.values():
        table.to_metadata(metadata)
    last = next(reversed(metadata.tables.values()))
    last.append_column(Column("new", Text))
    (found,) = differences(database_url, metadata)
    assert found[0] == "add_column" and (found[2], found[3].name) == (last.name, "new")


@pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS, INDEXES], ids=["columns", "constraints", "indexes"])
def test_the_catalogue_has_the_same_of_both(query: str, database_url: str, made_from_metadata: str) -> None:
    migrated, made = told(database_url, query), told(made_from_metadata, query)
    assert len(migrated) > 20
    assert made == migrated
