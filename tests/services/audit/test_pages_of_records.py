"""A page of records is read by an index, however many entries the log has."""

from __future__ import annotations

import datetime as dt

import pytest

from services.audit.records import Outcome, RecordFilter
from services.audit.store import RECORD, listing
from tests.support.sql import fetch_sync, most_rows_read

EVENTS, PAGE = 10_000, 51
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
# Each event an intent and its outcome. Of twenty, one has a rare actor, method and resource. Of a hundred,
# one answers with another resource; ten events answer with the same.
FILL = f"""
    INSERT INTO celery_audit_logs (index, event_id, kind, time, actor, role, issuer, method, resource, code,
        message, address, user_agent, request_id, leaf_hash, body)
    SELECT 2 * n + entry, md5(n::text)::uuid, CASE entry WHEN 0 THEN 'intent' ELSE 'outcome' END,
        $1::timestamptz + n * interval '1 second', rare || 'actor', '', '', '/' || rare || 'method',
        CASE WHEN entry = 0 THEN rare || 'resource' WHEN n % 100 = 0 THEN 'result-' || n % 1000 ELSE '' END,
        CASE entry WHEN 0 THEN '' ELSE 'OK' END, '', '', '', '', '', ''
    FROM generate_series(1, {EVENTS}) AS n, generate_series(0, 1) AS entry,
        LATERAL (SELECT CASE n % 20 WHEN 0 THEN 'rare-' ELSE '' END AS rare) AS each
"""


@pytest.fixture(scope="module")
def url(database_url: str) -> str:
    fetch_sync(database_url, FILL, NOW)
    fetch_sync(database_url, "VACUUM ANALYZE celery_audit_logs")
    return database_url


@pytest.mark.parametrize("before", [None, EVENTS], ids=["first", "middle"])
@pytest.mark.parametrize(
    "wanted",
    [
        RecordFilter(),
        RecordFilter(actors=["rare-actor"]),
        RecordFilter(methods=["/rare-method"]),
        RecordFilter(resources=["rare-resource"]),
        RecordFilter(actors=["actor"], outcomes=[Outcome.OK]),
    ],
    ids=str,
)
async def test_a_page_looks_at_few_entries_beside_those_it_has(
    wanted: RecordFilter, before: int | None, url: str
) -> None:
    """Two entries an event, and none of the outcomes that stand between the events."""
    assert PAGE <= await most_rows_read(url, listing(wanted, before, PAGE)) <= 3 * PAGE


async def test_what_a_resource_was_made_by_is_found_by_an_index(url: str) -> None:
    wanted = RecordFilter(resources=["result-100"])
    assert await most_rows_read(url, listing(wanted, None, PAGE)) <= 4 * 10


async def test_a_record_is_found_by_its_event(url: str) -> None:
    one = RECORD.params(id="c4ca4238-a0b9-2382-0dcc-509a6f75849b")
    assert await most_rows_read(url, one) == 3
