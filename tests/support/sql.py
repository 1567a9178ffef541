"""A statement on a connection of its own, as somebody with psql would run it, and how it is run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
from sqlalchemy import ClauseElement
from sqlalchemy.ext.asyncio import create_async_engine

from services.kernel.database import driver_url

ASYNCPG = create_async_engine("postgresql+asyncpg://").dialect


async def fetch(url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    """The rows that the statement gives, if it is one that gives any."""
    connection = await asyncpg.connect(driver_url(url))
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
        return rows
    finally:
        await connection.close()


def fetch_sync(url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    """`fetch`, for tests without an event loop."""
    return asyncio.run(fetch(url, statement, *values))


async def plan_of(url: str, statement: str, *values: Any, settings: str = "SELECT 1") -> dict[str, Any]:
    """Runs the statement, in vain, after the settings; how PostgreSQL did it, with rows and pages (8 KiB)."""
    connection = await asyncpg.connect(driver_url(url))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(settings)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        plan: dict[str, Any] = json.loads(await connection.fetchval(explain, *values))[0]["Plan"]
        return plan
    finally:
        await transaction.rollback()
        await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The plan and all that is below it."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def scans(url: str, query: str, *values: Any, settings: str = "SELECT 1") -> list[dict[str, Any]]:
    """How each table was read."""
    plan = await plan_of(url, query, *values, settings=settings)
    return [node for node in nodes(plan) if "Relation Name" in node]


def rows_read(scans: list[dict[str, Any]]) -> float:
    """Rows that were looked at, of all tables; a scan of a whole table is none that may be."""
    read = 0.0
    for scan in scans:
        assert scan["Node Type"] != "Seq Scan", scan
        each = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)
        read += each * scan["Actual Loops"] if scan["Node Type"] != "ModifyTable" else 0
    return read


def compiled(statement: ClauseElement) -> tuple[str, list[Any]]:
    """What a session sends for the statement: the SQL, and its values."""
    options = {"render_postcompile": True}
    sent: Any = statement.compile(dialect=ASYNCPG, compile_kwargs=options)
    return sent.string, [sent.params[name] for name in sent.positiontup]


def _literal(value: Any) -> str:
    return f"'{{{','.join(value)}}}'" if isinstance(value, list) else f"'{value}'"


async def most_rows_read(url: str, statement: ClauseElement) -> float:
    """Rows that the statement looks at, by the plan for its values or by one that is kept for any values.

    PostgreSQL may take the second after a connection has run the statement a few times. It has to do without
    a partial index whose condition is only among the values.
    """
    query, values = compiled(statement)
    kept = f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE page AS {query}"
    literals = ", ".join(map(_literal, values))
    by_values = rows_read(await scans(url, query, *values))
    return max(by_values, rows_read(await scans(url, f"EXECUTE page ({literals})", settings=kept)))
