"""The SQL of schedules that pause themselves when so many of their runs in a row have failed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import NamedTuple

from services.scheduler.schedule.store_base import Store

# Outcomes that count as a failure. A task that was revoked, or of whose end nothing is known, says neither.
FAILED = ("FAILURE", "REJECTED", "ORPHANED")
SUCCEEDED = "SUCCESS"
# Runs that were due before the last change of the schedule don't count: a change may have mended what failed.
FAILING = """
    SELECT s.id, s.pause_after_failures AS failures, ended.newest FROM celery_schedules s, LATERAL (
        SELECT count(*) FILTER (WHERE outcome <> $3) AS failed, max(due_at) AS newest FROM (
            SELECT outcome, due_at FROM celery_schedule_runs
            WHERE schedule_id = s.id AND due_at > s.updated_at AND outcome = ANY($2)
            ORDER BY due_at DESC LIMIT s.pause_after_failures
        ) AS last
    ) AS ended
    WHERE s.id = ANY($1) AND NOT s.paused AND ended.failed >= s.pause_after_failures
    ORDER BY s.id FOR UPDATE OF s
"""
PAUSE = """
    UPDATE celery_schedules
    SET paused = true, pause_note = $2, next_run_at = NULL, next_due_at = NULL,
        version = version + 1, updated_at = clock_timestamp()
    WHERE id = $1
"""


class Failing(NamedTuple):
    """A schedule whose last `failures` runs have failed, as many as it bears."""

    schedule_id: str
    failures: int
    newest: dt.datetime


class FailureStore(Store):
    """Failures in a row, on one connection."""

    async def failing(self, schedule_ids: Collection[str]) -> Sequence[Failing]:
        """Returns those of the schedules that are to be paused, and locks them until the transaction ends."""
        counted = [*FAILED, SUCCEEDED]
        rows = await self._connection.fetch(FAILING, sorted(schedule_ids), counted, SUCCEEDED)
        return [Failing(*row) for row in rows]

    async def pause(self, schedule_id: str, note: str) -> None:
        await self._connection.execute(PAUSE, schedule_id, note)
