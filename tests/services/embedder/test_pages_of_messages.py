"""A page of messages or of operations is read by an index, however many there are."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from services.embedder.bulk import store_operations
from services.embedder.messages import store_messages
from services.embedder.messages.messages import MessageFilter, Role
from tests.support.sql import fetch_sync, most_rows_read

MESSAGES, OPERATIONS, PAGE = 20_000, 5_000, 51
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
FILL = f"""
    INSERT INTO chat_messages (id, conversation, role, text, content_hash, created_at)
    SELECT 'm-' || n, 'c-' || n % 100, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'text', '', now()
    FROM generate_series(1, {MESSAGES}) AS n
"""
FILL_OPERATIONS = f"""
    WITH made AS (
        INSERT INTO embedder_operations (kind, arguments, model, state, created_at)
        SELECT 'rebuild', '{{}}', 'm', 'done', $1::timestamptz - n * interval '1 second'
        FROM generate_series(1, {OPERATIONS}) AS n
        RETURNING id
    )
    INSERT INTO embedder_operation_chunks (operation_id, number, message_ids, state)
    SELECT id, 0, '{{m-1}}', 'done' FROM made
"""


@pytest.fixture(scope="module")
def url(database_url: str) -> str:
    fetch_sync(database_url, FILL)
    fetch_sync(database_url, FILL_OPERATIONS, NOW)
    for table in ("chat_messages", "embedder_operations", "embedder_operation_chunks"):
        fetch_sync(database_url, f"VACUUM ANALYZE {table}")
    return database_url


@pytest.mark.parametrize("after", ["", "m-5"])
@pytest.mark.parametrize(
    "wanted", [MessageFilter(), MessageFilter(conversation="c-7"), MessageFilter(role=Role.USER)], ids=str
)
async def test_a_page_of_messages_looks_at_few_rows_beside_those_it_has(
    wanted: MessageFilter, after: str, url: str
) -> None:
    assert PAGE <= await most_rows_read(url, store_messages.listing(wanted, after, PAGE)) <= 4 * PAGE


@pytest.mark.parametrize("before", [None, (NOW - dt.timedelta(hours=1), str(uuid.UUID(int=0)))])
async def test_a_page_of_operations_looks_at_few_rows_beside_those_it_has(
    before: tuple[dt.datetime, str] | None, url: str
) -> None:
    """And at the chunks of those alone."""
    assert 2 * PAGE <= await most_rows_read(url, store_operations.listing(before, PAGE)) <= 3 * PAGE
