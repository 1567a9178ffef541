"""The log of changes names the columns whose change it tells of: a new column is either among them or not.

Migrations 0010, 0014 and 0024 list columns: in the triggers that log an update, in the comparison of runs
before and after, in what a schedule was before, and in its history. Whoever adds a column to `tables.py` or
`values_of` has to decide here whether those who watch are told when it changes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import Table

from services.kernel.database import driver_url
from services.kernel.parameters import Parameters
from services.scheduler.catalogue.store_listing import ScheduleFilter, matches
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.schedule.rows import values_of
from services.scheduler.tables import backfills, runs, schedules
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming

LISTED = """
    SELECT attname FROM pg_trigger
    JOIN pg_attribute ON attrelid = tgrelid AND attnum = ANY (tgattr::int2[])
    WHERE tgrelid = $1::text::regclass AND tgname = $2
"""
WRITTEN_BY_DISPATCHING = {"next_run_at", "next_due_at", "last_run_at", "run_count"}
# Nobody changes the first three; the fourth changes with the version.
SCHEDULES_LEFT_OUT = {"id", "created_at", "task_namespace", "updated_at"} | WRITTEN_BY_DISPATCHING
# Given when it is begun, and not changed afterwards.
GIVEN = {
    "id",
    "schedule_id",
    "start_at",
    "end_at",
    "newest_first",
    "rate",
    "actor",
    "operation_id",
    "call_id",
}
REQUEST = {"request_id", "request_digest"}
COUNTED = {"run_count", "first_due_at", "last_due_at", "created_at"}
# The first two change with the state, the third with what was handled.
BACKFILLS_LEFT_OUT = {"ended_at", "due_at", "next_at"} | GIVEN | REQUEST | COUNTED
# Another value for each column of a run.
OTHER = {
    "schedule_id": "'two'",
    "due_at": "due_at + interval '1 second'",
    "state": "'skipped'",
    "reason": "'another'",
    "request_id": "'r'",
    "request_digest": "'d'::bytea",
    "recorded_at": "recorded_at + interval '1 second'",
    "batch_id": "7",
    "backfill_id": "'b'",
    "exclusive": "NOT exclusive",
    "outcome": "'FAILURE'",
    "runtime": "1.5",
    "error": "'an error'",
    "ended_at": "now()",
    "task_namespace": "'another'::bytea",
    "schedule_version": "7",
    "call_id": "'ticket-1'",
}
# Those who watch are told nothing of these: who made the run, when, and what it waits for. The last two of
# them change with the batch.
RUNS_LEFT_OUT = {
    *("recorded_at", "backfill_id", "exclusive", "task_namespace", "schedule_version", "call_id"),
    *REQUEST,
}
DEFINITION = Definition("one", Task("count"), CrontabTiming(parse_crontab("0 3 * * *"), "UTC"))


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """In a transaction that is rolled back; with a schedule, and a run of it that waits."""
    opened = await asyncpg.connect(driver_url(database_url))
    transaction = opened.transaction()
    await transaction.start()
    await ScheduleStore(opened).create(DEFINITION, dt.datetime.now(dt.UTC))
    await opened.execute(
        "INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason)"
        " VALUES ('one', now(), 'waiting', 'due')"
    )
    yield opened
    await transaction.rollback()
    await opened.close()


async def newest(connection: asyncpg.Connection) -> asyncpg.Record:
    return await connection.fetchrow("SELECT * FROM celery_schedule_changes ORDER BY position DESC LIMIT 1")


@pytest.mark.parametrize(
    ("table", "trigger", "left_out"),
    [
        (schedules, "log_updated", SCHEDULES_LEFT_OUT),
        (schedules, "history_goes_on", SCHEDULES_LEFT_OUT),
        (backfills, "log_moved", BACKFILLS_LEFT_OUT),
    ],
    ids=["schedules", "history", "backfills"],
)
async def test_a_trigger_names_each_column_that_is_not_left_out_on_purpose(
    table: Table, trigger: str, left_out: set[str], connection: asyncpg.Connection
) -> None:
    listed = {row["attname"] for row in await connection.fetch(LISTED, table.name, trigger)}
    assert listed == set(table.c.keys()) - left_out
    assert left_out <= set(table.c.keys())


async def test_the_history_names_each_column_that_was_changed(connection: asyncpg.Connection) -> None:
    body = await connection.fetchval(
        "SELECT prosrc FROM pg_proc WHERE proname = 'celery_schedule_history_goes_on'"
    )
    named = set(re.findall(r"OLD\.(\w+) IS DISTINCT FROM NEW\.\1 THEN '\1'", body))
    # The version changes with each of the others.
    assert named == set(schedules.c.keys()) - SCHEDULES_LEFT_OUT - {"version"}


def test_all_that_a_person_decides_is_in_the_table_and_told() -> None:
    decided = set(values_of(DEFINITION, None))
    assert decided <= set(schedules.c.keys())
    assert decided & SCHEDULES_LEFT_OUT == {"id", "next_run_at", "next_due_at"}


async def test_a_change_of_a_run_is_told_by_each_column_that_is_not_left_out_on_purpose(
    connection: asyncpg.Connection,
) -> None:
    assert OTHER.keys() == set(runs.c.keys())
    before = await newest(connection)
    told = set()
    for column, value in OTHER.items():
        step = connection.transaction()
        await step.start()
        await connection.execute(f"UPDATE celery_schedule_runs SET {column} = {value}")
        logged = await newest(connection)
        if logged["position"] != before["position"]:
            assert logged["kind"] == "runs"
            told.add(column)
        await step.rollback()
    assert told == OTHER.keys() - RUNS_LEFT_OUT


@pytest.mark.parametrize(
    "statement",
    ["UPDATE celery_schedules SET task = 'another'", "DELETE FROM celery_schedules"],
    ids=["changed", "deleted"],
)
async def test_what_a_schedule_was_has_each_column_that_filters_look_at(
    statement: str, connection: asyncpg.Connection
) -> None:
    every = ScheduleFilter(text="a", task_names=("b",), queues=("c",), paused=True, labels=(("d", "e"),))
    assert all(getattr(every, field.name) for field in dataclasses.fields(ScheduleFilter))
    looked_at = set(re.findall(r"\bs\.(\w+)", matches(every, Parameters())))
    await connection.execute(statement)
    (was,) = json.loads((await newest(connection))["before"])
    assert was.keys() == looked_at
