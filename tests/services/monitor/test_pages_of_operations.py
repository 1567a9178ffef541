"""A page of operations is read by an index, however many there are, and so is what a reader has not seen."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from services.kernel.operations import OperationState
from services.monitor.operations import store_operations
from services.monitor.operations.store_operations import OperationFilter
from tests.support.sql import fetch_sync, most_rows_read

OPERATIONS, PAGE = 20_000, 51
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
FILL = f"""
    INSERT INTO celery_operations (owner, kind, state, created_at, ended_at)
    SELECT CASE n % 2 WHEN 0 THEN 'embedder' ELSE 'scheduler' END, 'kind',
        CASE n % 100 WHEN 0 THEN 'running' ELSE 'done' END, $1::timestamptz - n * interval '1 second',
        CASE n % 100 WHEN 0 THEN NULL ELSE $1::timestamptz END
    FROM generate_series(1, {OPERATIONS}) AS n
"""
BEFORE = (NOW - dt.timedelta(hours=1), str(uuid.UUID(int=0)))
UNENDED = frozenset(state for state in OperationState if not state.ended)


@pytest.fixture(scope="module")
def url(database_url: str) -> str:
    fetch_sync(database_url, FILL, NOW)
    fetch_sync(database_url, "VACUUM ANALYZE celery_operations")
    return database_url


@pytest.mark.parametrize("before", [None, BEFORE])
@pytest.mark.parametrize(
    "wanted",
    [
        OperationFilter(),
        OperationFilter(owners=frozenset({"embedder"})),
        OperationFilter(states=frozenset({OperationState.DONE})),
        OperationFilter(states=UNENDED),
    ],
    ids=["all", "of one owner", "done", "not ended"],
)
async def test_a_page_looks_at_few_rows_beside_those_it_has(
    wanted: OperationFilter, before: tuple[dt.datetime, str] | None, url: str
) -> None:
    assert PAGE <= await most_rows_read(url, store_operations.listing(wanted, before, PAGE)) <= 4 * PAGE
