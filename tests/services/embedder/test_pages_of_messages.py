"""A page of messages is read by an index, however many there are."""

from __future__ import annotations

import pytest

from services.embedder.messages import store_messages
from services.embedder.messages.messages import MessageFilter, Role
from tests.support.sql import fetch_sync, most_rows_read

MESSAGES, PAGE = 20_000, 51
FILL = f"""
    INSERT INTO chat_messages (id, conversation, role, text, content_hash, created_at)
    SELECT 'm-' || n, 'c-' || n % 100, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'text', '', now()
    FROM generate_series(1, {MESSAGES}) AS n
"""


@pytest.fixture(scope="module")
def url(database_url: str) -> str:
    fetch_sync(database_url, FILL)
    fetch_sync(database_url, "VACUUM ANALYZE chat_messages")
    return database_url


@pytest.mark.parametrize("after", ["", "m-5"])
@pytest.mark.parametrize(
    "wanted",
    [MessageFilter(), MessageFilter(conversation="c-7"), MessageFilter(roles=frozenset({Role.USER}))],
    ids=str,
)
async def test_a_page_of_messages_looks_at_few_rows_beside_those_it_has(
    wanted: MessageFilter, after: str, url: str
) -> None:
    assert PAGE <= await most_rows_read(url, store_messages.listing(wanted, after, PAGE)) <= 4 * PAGE
