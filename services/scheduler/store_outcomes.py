"""The SQL of runs whose end was not heard yet, and of what was heard then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from services.scheduler.monitor import Heard
from services.scheduler.schedules import task_id

# By the index of open runs, whatever the planner thinks of a table that was small when it last looked.
SETTINGS = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
# A batch of the dispatcher is published at one moment: with ties, so that none is cut in two.
OPEN = """
    SELECT band.number, run.* FROM unnest($1::int[], $2::timestamptz[], $3::interval[])
        AS band (number, after, age),
    LATERAL (
        SELECT schedule_id, due_at, published_at FROM celery_schedule_runs
        WHERE state = 'published' AND outcome IS NULL
            AND published_at > band.after AND published_at <= now() - band.age
        ORDER BY published_at FETCH FIRST $4 ROWS WITH TIES
    ) AS run
"""
ENDED = """
    UPDATE celery_schedule_runs r
    SET outcome = heard.outcome, runtime = heard.runtime, error = heard.error, ended_at = heard.ended_at
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::float8[], $5::text[], $6::timestamptz[])
        AS heard (schedule_id, due_at, outcome, runtime, error, ended_at)
    WHERE r.schedule_id = heard.schedule_id AND r.due_at = heard.due_at
"""


class OpenRun(NamedTuple):
    """A run that is published, and whose end was not heard."""

    schedule_id: str
    due_at: dt.datetime
    published_at: dt.datetime

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at)


class Band(NamedTuple):
    """Open runs of an age, published after a moment."""

    number: int
    after: dt.datetime
    age: dt.timedelta


class OutcomeStore:
    """Outcomes on one asyncpg connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def now(self) -> dt.datetime:
        moment: dt.datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return moment

    async def open(self, bands: Sequence[Band], most: int) -> dict[int, list[OpenRun]]:
        """Of each band, at least `most` open runs if there are so many, the longest published first."""
        async with self._connection.transaction():
            await self._connection.execute(SETTINGS)
            rows = await self._connection.fetch(OPEN, *map(list, zip(*bands, strict=True)), most)
        found: dict[int, list[OpenRun]] = {}
        for number, *columns in rows:
            found.setdefault(number, []).append(OpenRun(*columns))
        return found

    async def ended(self, heard: Sequence[tuple[OpenRun, Heard]]) -> None:
        """Records how the tasks of runs ended. Doing so twice changes nothing."""
        # In the order of keys, so that two replicas never wait for each other's rows crosswise.
        rows = [
            (run.schedule_id, run.due_at, end.state, end.runtime, end.error, end.ended_at)
            for run, end in sorted(heard, key=lambda each: each[0][:2])
        ]
        await self._connection.execute(ENDED, *map(list, zip(*rows, strict=True)))
