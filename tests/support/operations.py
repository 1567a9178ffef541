"""Operations as their owners write them: by the owner's role in the database."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.support.processes import as_its_role
from tests.support.sql import fetch_sync


def url_of(service: str, database_url: str) -> str:
    """The URL with which the service logs in as itself."""
    return as_its_role(service, {"DATABASE_URL": database_url})["DATABASE_URL"]


def insert(database_url: str, owner: str = "embedder", **columns: Any) -> str:
    """Begins an operation as its owner; gives its name."""
    operation_id = uuid.uuid4()
    values = {"id": operation_id, "owner": owner, "kind": "rebuild_chat_vectors", "total": 10, **columns}
    values["metadata"] = json.dumps(values.get("metadata", {}))
    names = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    statement = f"INSERT INTO celery_operations ({names}) VALUES ({places})"
    fetch_sync(url_of(owner, database_url), statement, *values.values())
    return f"operations/{operation_id}"


def id_of(name: str) -> uuid.UUID:
    return uuid.UUID(name.removeprefix("operations/"))


def advance(database_url: str, name: str, more: int, failed: int = 0, owner: str = "embedder") -> None:
    """Counts units as finished, as triggers on the owner's tables do."""
    statement = "SELECT celery_operation_advance($1, $2, $3)"
    fetch_sync(url_of(owner, database_url), statement, id_of(name), more, failed)


def let_it_be_lost(database_url: str, name: str) -> None:
    """As if its owner had been silent for over a minute."""
    statement = "UPDATE celery_operations SET owner_seen_at = now() - interval '61 s' WHERE id = $1"
    fetch_sync(database_url, statement, id_of(name))


def row_of(database_url: str, name: str) -> Any:
    [row] = fetch_sync(database_url, "SELECT * FROM celery_operations WHERE id = $1", id_of(name))
    return row
