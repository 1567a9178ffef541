"""Who may do what in the database, as the migrations leave it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from services import STORING
from services.kernel.grants import role_of
from services.kernel.migrations import migrate
from tests.support.sql import fetch_sync

# The kernel's tables are not here: who has which rights on them is said, and tried, for each of them
# (tests/services/kernel/test_rights_on_operations.py).
KERNEL = "kernel"
# Nobody may change or remove what is in the log.
APPEND_ONLY = {"celery_audit_logs", "celery_audit_checkpoints"}
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'"
# Rights on a partition's parent, and PUBLIC's (no grantee of that name).
RIGHTS = """
    SELECT relname AS name, coalesce(pg_roles.rolname, 'PUBLIC') AS role, acl.privilege_type AS right
    FROM pg_class
    CROSS JOIN LATERAL aclexplode(relacl) AS acl
    LEFT JOIN pg_roles ON pg_roles.oid = acl.grantee
    WHERE relnamespace = 'public'::regnamespace AND acl.grantee <> relowner
"""


async def migrated(url: str) -> tuple[dict[str, str], Sequence[asyncpg.Record]]:
    """Each table's service (the one whose migrations made it), and all rights that were granted."""
    owners: dict[str, str] = {}
    connection = await asyncpg.connect(url)
    try:
        for service in (KERNEL, *STORING):
            await migrate(url, service)
            made = {row["tablename"] for row in await connection.fetch(TABLES)}
            owners |= dict.fromkeys(made - owners.keys(), service)
        return owners, await connection.fetch(RIGHTS)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def rights(empty_database_url: str) -> tuple[dict[str, str], set[tuple[str, str, str]]]:
    owners, rows = asyncio.run(migrated(empty_database_url))
    return owners, {(row["name"], row["role"], row["right"]) for row in rows}


def test_a_copy_of_the_tests_template_has_the_tables_and_rights_that_migrations_leave(
    rights: tuple[dict[str, str], set[tuple[str, str, str]]], database_url: str
) -> None:
    owners, granted = rights
    assert {row["tablename"] for row in fetch_sync(database_url, TABLES)} == set(owners)
    assert {(row["name"], row["role"], row["right"]) for row in fetch_sync(database_url, RIGHTS)} == granted


def test_every_table_is_usable_by_its_service(
    rights: tuple[dict[str, str], set[tuple[str, str, str]]],
) -> None:
    owners, granted = rights
    assert set(owners.values()) == {KERNEL, *STORING}
    for table, service in owners.items():
        if service == KERNEL:
            continue
        for right in ("SELECT", "INSERT"):
            assert (table, role_of(service), right) in granted, table


def test_no_role_has_a_right_on_what_another_service_owns(
    rights: tuple[dict[str, str], set[tuple[str, str, str]]],
) -> None:
    owners, granted = rights
    strange = {
        (name, role, right)
        for name, role, right in granted
        if role != (role_of(owners[name]) if owners.get(name, KERNEL) != KERNEL else role)
    }
    assert strange == set()
    # What is no table (sequences) is nobody's but the services' either.
    assert {role for _, role, _ in granted} <= {role_of(service) for service in STORING}


def test_the_log_can_only_grow(rights: tuple[dict[str, str], set[tuple[str, str, str]]]) -> None:
    owners, granted = rights
    assert owners.keys() >= APPEND_ONLY
    assert {right for name, _, right in granted if name in APPEND_ONLY} == {"SELECT", "INSERT"}
