"""Rows that somebody has written by SQL: who watches is told of them, and the watching goes on."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import Database
from services.scheduler.api.convert_watch import watch_response_to
from services.scheduler.watch.changes import Event, LeftOut, ScheduleEvent, Wanted
from services.scheduler.watch.cursor import Cursor
from tests.support.watch_hubs import Told, create, publish, read, read_until, running

MOMENTS = ("next_run_at", "next_due_at", "last_run_at", "created_at", "updated_at")
CHANGES = {
    "end_at = '20000-01-01'": True,
    "start_at = '0044-03-15 BC'": True,
    "crontab = NULL, once_at = '20000-01-01'": True,
    "crontab = NULL, interval_seconds = 60, anchor = '-infinity'": True,
    "time_zone = repeat('é', 200)": True,
    **{f"{column} = '20000-01-01', description = 'by hand'": False for column in MOMENTS},
    **{f"{column} = '-infinity', description = 'by hand'": False for column in MOMENTS},
}


def told(event: Event | LeftOut | None, cursor: Cursor) -> Told:
    """Makes the message that a client gets, as that may fail, too."""
    watch_response_to(event, cursor)
    return event, cursor


@pytest.mark.parametrize(("change", "faulty"), CHANGES.items())
async def test_a_row_of_values_that_python_does_not_know_is_told_and_the_watching_goes_on(
    database: Database, change: str, faulty: bool
) -> None:
    await create(database, "by hand")
    async with running(database, tell=told) as watching:
        stream = watching.watch(Wanted(), None)
        await read(stream)
        async with database.transaction() as connection:
            await connection.execute(f"UPDATE celery_schedules SET {change} WHERE id = 'by hand'")
        event, _ = await read(stream)
        assert isinstance(event, ScheduleEvent) and event.schedule is not None
        assert bool(event.schedule.fault) is faulty
        await create(database, "after")
        assert await read_until(stream, "after") == []
        await stream.aclose()


@pytest.mark.parametrize("moment", ["infinity", "0044-03-15 BC"])
async def test_a_run_of_a_due_time_that_python_does_not_know_is_told_and_the_watching_goes_on(
    database: Database, moment: str
) -> None:
    await create(database, "one", "tenth")
    messages: list[pb.WatchSchedulesResponse] = []

    def keep(event: Event | LeftOut | None, cursor: Cursor) -> Told:
        messages.append(watch_response_to(event, cursor))
        return event, cursor

    async with running(database, tell=keep) as watching:
        stream = watching.watch(Wanted(), None)
        await read(stream)
        async with database.transaction() as connection:
            await publish(connection, 1)
            changed: Any = await connection.execute(f"UPDATE celery_schedule_runs SET due_at = '{moment}'")
            assert changed == "UPDATE 1"
        await create(database, "after")
        [runs, *_] = await read_until(stream, "after")
        assert runs is not None
        await stream.aclose()
    [year] = {run.due_time.ToDatetime(dt.UTC).year for message in messages for run in message.runs.runs}
    assert year == (9999 if moment == "infinity" else 1)
