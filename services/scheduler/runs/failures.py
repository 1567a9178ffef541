"""Pauses a schedule when as many of its runs in a row have failed as it bears (`pause_after_failures`).

It is looked at after each end of a run that failed. What is counted is read from the runs themselves, so ends
that are heard twice, late or in another order count once, in the order of their due times.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from services.kernel.database import Database
from services.scheduler.runs.store_failures import FailureStore
from services.scheduler.schedule.names import run_name

log = structlog.get_logger(__name__)

# Who paused it, in the history of the schedule.
ACTOR = "scheduler"


async def pause_failing(database: Database, schedule_ids: Collection[str]) -> None:
    """Pauses those of the schedules whose last runs have failed, as many as they bear."""
    async with database.transaction() as connection:
        store = FailureStore(connection)
        failing = await store.failing(schedule_ids)
        if failing:
            await store.sign(ACTOR)
        for each in failing:
            newest = run_name(each.schedule_id, each.newest)
            count = "its last run has" if each.failures == 1 else f"its last {each.failures} runs have"
            await store.pause(each.schedule_id, f"{count} failed, the newest {newest}")
    for each in failing:
        log.warning("schedule.paused_itself", schedule=each.schedule_id, failed=each.failures)
