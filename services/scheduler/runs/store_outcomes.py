"""The SQL of open runs, whose outcome is not known, and of recording outcomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from services.scheduler.runs.monitor_client import Heard
from services.scheduler.schedule.definition import task_id
from services.scheduler.schedule.store_base import Store

# Makes the planner use an index, even if its statistics are from when the table was small.
SETTINGS = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
# WITH TIES, so that the runs of a batch are not split.
OPEN = """
    SELECT band.number, run.* FROM unnest($1::int[], $2::bigint[], $3::interval[])
        AS band (number, after, age),
    LATERAL (
        SELECT schedule_id, due_at, batch_id, task_namespace FROM celery_schedule_runs
        WHERE state = 'batched' AND outcome IS NULL
            AND batch_id > band.after
            AND batch_id <= (
                SELECT id FROM celery_schedule_batches WHERE recorded_at <= now() - band.age
                ORDER BY recorded_at DESC LIMIT 1)
        ORDER BY batch_id FETCH FIRST $4 ROWS WITH TIES
    ) AS run
"""
LAST = """
    SELECT coalesce((
        SELECT id FROM celery_schedule_batches WHERE recorded_at <= now() - age
        ORDER BY recorded_at DESC LIMIT 1), 0)
    FROM unnest($1::interval[]) WITH ORDINALITY AS given (age, number) ORDER BY number
"""
ENDED = """
    UPDATE celery_schedule_runs r
    SET outcome = heard.outcome, runtime = heard.runtime, error = heard.error, ended_at = heard.ended_at
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::float8[], $5::text[], $6::timestamptz[])
        AS heard (schedule_id, due_at, outcome, runtime, error, ended_at)
    WHERE r.schedule_id = heard.schedule_id AND r.due_at = heard.due_at
"""


# (schedule id, due time)
RunKey: TypeAlias = tuple[str, dt.datetime]


class OpenRun(NamedTuple):
    """A run that has a batch and whose outcome is not known."""

    schedule_id: str
    due_at: dt.datetime
    batch_id: int
    task_namespace: bytes | None

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at, self.task_namespace)


class Band(NamedTuple):
    """Selects open runs that are at least `age` old, of batches with an id beyond `after`."""

    number: int
    after: int
    age: dt.timedelta


class OutcomeStore(Store):
    """Outcomes, on one connection."""

    async def last_batches(self, ages: Sequence[dt.timedelta]) -> list[int]:
        """Returns for each age the id of the newest batch that is at least as old; 0 when there is none."""
        return [number for (number,) in await self._connection.fetch(LAST, ages)]

    async def open(self, bands: Sequence[Band], most: int) -> dict[int, list[OpenRun]]:
        """Returns open runs by the number of their band, oldest batch first.

        Each band has at least `most` if there are so many; a band without any is missing.
        """
        async with self._connection.transaction():
            await self._connection.execute(SETTINGS)
            rows = await self._connection.fetch(OPEN, *map(list, zip(*bands, strict=True)), most)
        found: dict[int, list[OpenRun]] = {}
        for number, *columns in rows:
            found.setdefault(number, []).append(OpenRun(*columns))
        return found

    async def ended(self, heard: Iterable[tuple[RunKey, Heard]]) -> None:
        """Records how the tasks of runs ended. Recording the same again changes nothing."""
        # In the order of keys, so that two replicas can't deadlock.
        rows = [
            (*run, end.state, end.runtime, end.error, end.ended_at)
            for run, end in sorted(heard, key=lambda each: each[0])
        ]
        await self._connection.execute(ENDED, *map(list, zip(*rows, strict=True)))
