"""Schedules of many kinds, and their due times by a computation that shares nothing with the scheduler's."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.schedule.definition import Definition, Overlap, Task
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming
from services.scheduler.timing.plan import Bounds, Misfire, MisfireAction

QUEUE = "chaos"
NAMESPACED = "UPDATE celery_schedules SET task_namespace = $2 WHERE id = $1"
MILLISECOND = dt.timedelta(milliseconds=1)
# However late: each due time is made up for.
EACH = Misfire(MisfireAction.RUN_EACH, dt.timedelta(hours=1))
Window = tuple[dt.datetime, dt.datetime]


class Expected(NamedTuple):
    definition: Definition
    due: tuple[dt.datetime, ...]


def namespace_of(schedule: str) -> uuid.UUID:
    """What `store` gives to the schedule, so that the ids of its tasks are known before they are sent."""
    return uuid.uuid5(uuid.NAMESPACE_OID, schedule)


def task_id(schedule: str, due: dt.datetime, namespace: bytes = b"") -> str:
    """`namespace`: that of the backfill that sends it; the schedule's own if empty."""
    within = uuid.UUID(bytes=namespace) if namespace else namespace_of(schedule)
    return str(uuid.uuid5(within, f"{schedule}@{due.timestamp()}"))


def load(window: Window, each_second: int = 80, others: int = 40, crontabs: int = 40) -> list[Expected]:
    """Due after the window's beginning, up to its end and at it."""
    return [
        *_each_second(window, each_second),
        *_odd(window, others),
        *_crontabs(window, crontabs),
        *_bounded(window),
    ]


def _each_second(window: Window, count: int) -> Iterator[Expected]:
    for number in range(count):
        yield interval(f"second-{number}", window, 1000, 0, priority=number % 2 * 5)


def _odd(window: Window, count: int) -> Iterator[Expected]:
    for number in range(count):
        yield interval(f"odd-{number}", window, 1100 + 177 * number, 37 * number)


def _crontabs(window: Window, count: int) -> Iterator[Expected]:
    start, end = window
    for number in range(count):
        step = number % 3 + 1
        minute = start.replace(second=0, microsecond=0)
        due = []
        while minute <= end:
            if minute > start and minute.minute % step == 0:
                due.append(minute)
            minute += dt.timedelta(minutes=1)
        timing = CrontabTiming(parse_crontab(f"*/{step} * * * *"), "UTC")
        definition = Definition(
            f"crontab-{number}", Task("count", queue=QUEUE), timing, bounds=Bounds(end=end), misfire=EACH
        )
        yield Expected(definition, tuple(due))


def _bounded(window: Window) -> Iterator[Expected]:
    start, end = window
    middle = start + (end - start) // 2
    middle -= dt.timedelta(microseconds=middle.microsecond % 1000)
    yield interval("jitter", window, 2500, 0, jitter=dt.timedelta(seconds=2))
    seven = interval("seven", window, 1500, 0)
    bounds = Bounds(end=end, max_runs=7)
    yield Expected(_with_bounds(seven.definition, bounds), seven.due[:7])
    late = interval("late", window, 1500, 0)
    due = tuple(moment for moment in late.due if moment >= middle)
    yield Expected(_with_bounds(late.definition, Bounds(middle, end)), due)
    once = Definition("once", Task("count", queue=QUEUE), OnceTiming(middle, "UTC"), misfire=EACH)
    yield Expected(once, (middle,))


def interval(
    schedule: str,
    window: Window,
    every: int,
    offset: int,
    *,
    queue: str = QUEUE,
    priority: int = 0,
    jitter: dt.timedelta = dt.timedelta(0),
    overlap: Overlap = Overlap.ALLOW,
    resend_lost: bool = False,
) -> Expected:
    """`every` and `offset` in milliseconds; first due at the window's beginning plus one of each."""
    start, end = window
    anchor = start + (offset + every) * MILLISECOND
    definition = Definition(
        schedule,
        Task("count", queue=queue, priority=priority),
        IntervalTiming(every * MILLISECOND, anchor, "UTC"),
        bounds=Bounds(end=end),
        jitter=jitter,
        misfire=EACH,
        overlap=overlap,
        resend_lost=resend_lost,
    )
    count = (end - anchor) // (every * MILLISECOND) + 1
    return Expected(definition, tuple(anchor + number * every * MILLISECOND for number in range(count)))


def _with_bounds(definition: Definition, bounds: Bounds) -> Definition:
    return Definition(
        definition.id, definition.task, definition.timing, bounds=bounds, misfire=definition.misfire
    )


async def store(database_url: str, expected: Sequence[Expected], start: dt.datetime) -> None:
    database = Database(database_url)
    try:
        async with database.transaction() as connection:
            schedules = ScheduleStore(connection)
            for definition, _ in expected:
                await schedules.create(definition, definition.plan.next_due(start))
                await connection.execute(NAMESPACED, definition.id, namespace_of(definition.id).bytes)
    finally:
        await database.close()
