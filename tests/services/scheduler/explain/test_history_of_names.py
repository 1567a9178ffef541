"""What a schedule was is read with its name, from which an `H` in its crontab follows."""

from __future__ import annotations

from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.explain.store_history import HistoryStore
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.crontab import crontab_of
from services.scheduler.timing.due_times import CrontabTiming


async def test_a_crontab_of_the_past_has_the_numbers_of_its_schedule(database: Database) -> None:
    timing = CrontabTiming(crontab_of("H H LW * *", "nightly"), "Asia/Taipei")
    async with database.transaction() as connection:
        stored = await ScheduleStore(connection).create(Definition("nightly", Task("t"), timing), None)
    async with database.reading() as connection:
        history = await HistoryStore(connection).history("nightly", stored.created_at)
    [revision] = history.revisions
    assert revision.fault == "" and revision.plan is not None
    assert revision.plan.timing == timing
