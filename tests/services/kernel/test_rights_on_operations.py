"""Who may do what to operations in the database: each service as its own role, as where it is deployed."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from services import SERVICES
from services.kernel.grants import role_of
from tests.support.operations import id_of, insert, row_of, url_of
from tests.support.sql import fetch_sync

OWNERS = ("embedder", "scheduler")
CANCEL = "UPDATE celery_operations SET cancel_requested_at = now(), cancel_requested_by = 'mei' WHERE id = $1"
RIGHTS = """
    SELECT grantee, privilege_type FROM information_schema.role_table_grants
    WHERE table_name = 'celery_operations' AND grantee LIKE 'celeriac%'
"""


def run(database_url: str, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    return fetch_sync(url_of(service, database_url), statement, *values)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_reads_the_operations_of_all(database_url: str, service: str) -> None:
    names = {insert(database_url, owner) for owner in OWNERS}
    found = {
        f"operations/{row['id']}" for row in run(database_url, service, "SELECT id FROM celery_operations")
    }
    assert names <= found


@pytest.mark.parametrize("owner", OWNERS)
def test_an_owner_writes_its_own_rows_and_no_other(database_url: str, owner: str) -> None:
    own, other = insert(database_url, owner), next(each for each in OWNERS if each != owner)
    others = insert(database_url, other)
    for statement in (
        "UPDATE celery_operations SET done = 7",
        "SELECT celery_operation_advance(id, 1, 0) FROM celery_operations",
        CANCEL.replace("WHERE id = $1", ""),
    ):
        run(database_url, owner, statement)
    assert row_of(database_url, own)["done"] == 8
    untouched = row_of(database_url, others)
    assert (untouched["done"], untouched["cancel_requested_by"]) == (0, None)
    run(database_url, owner, "DELETE FROM celery_operations")
    assert row_of(database_url, others)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        run(database_url, owner, "INSERT INTO celery_operations (owner, kind) VALUES ($1, 'theirs')", other)
    mine = insert(database_url, owner)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        run(database_url, owner, "UPDATE celery_operations SET owner = $1 WHERE id = $2", other, id_of(mine))


def test_the_monitor_asks_for_the_end_of_others_running_operations_and_does_nothing_else_to_them(
    database_url: str,
) -> None:
    running, ended = insert(database_url), insert(database_url, total=1)
    run(database_url, "embedder", "SELECT celery_operation_advance($1, 1, 0)", id_of(ended))
    for name in (running, ended):
        run(database_url, "monitor", CANCEL, id_of(name))
    assert row_of(database_url, running)["cancel_requested_by"] == "mei"
    assert row_of(database_url, ended)["cancel_requested_by"] is None
    for statement in (
        "UPDATE celery_operations SET state = 'cancelled', ended_at = now()",
        "UPDATE celery_operations SET owner_seen_at = now()",
        "SELECT celery_operation_cancel(id, '') FROM celery_operations",
        "INSERT INTO celery_operations (owner, kind) VALUES ('embedder', 'another')",
        "UPDATE celery_operations SET owner = 'monitor'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            run(database_url, "monitor", statement)
    before = row_of(database_url, running)
    run(database_url, "monitor", "DELETE FROM celery_operations")
    assert row_of(database_url, running) == before
    assert row_of(database_url, ended)


def test_the_monitor_writes_its_own_operations(database_url: str) -> None:
    name = insert(database_url, "monitor", total=2)
    run(database_url, "monitor", "SELECT celery_operation_advance($1, 1, 1)", id_of(name))
    assert (row_of(database_url, name)["done"], row_of(database_url, name)["failed"]) == (1, 1)
    run(database_url, "monitor", "SELECT celery_operation_cancel($1, 'enough')", id_of(name))
    assert row_of(database_url, name)["state"] == "cancelled"
    run(database_url, "monitor", "DELETE FROM celery_operations WHERE id = $1", id_of(name))
    assert not fetch_sync(database_url, "SELECT FROM celery_operations WHERE id = $1", id_of(name))


def test_audit_only_reads(database_url: str) -> None:
    name = insert(database_url)
    for statement in (
        CANCEL.replace("$1", f"'{id_of(name)}'"),
        "DELETE FROM celery_operations",
        "INSERT INTO celery_operations (owner, kind) VALUES ('audit', 'another')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            run(database_url, "audit", statement)


def test_no_role_has_more_rights_than_these(database_url: str) -> None:
    rights = {(row["grantee"], row["privilege_type"]) for row in fetch_sync(database_url, RIGHTS)}
    reading = {(role_of(service), "SELECT") for service in SERVICES}
    writers = (*OWNERS, "monitor")
    writing = {(role_of(owner), right) for owner in writers for right in ("INSERT", "UPDATE", "DELETE")}
    assert rights == reading | writing
