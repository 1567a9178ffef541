"""Full minutes, as crontabs have them: many entries, a known share of which is due at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.scheduler import rows, sql
from benchmarks.scheduler.measuring import MINUTE, TooSlow, full_minute, peak_mb, reaches, resident_mb, until
from benchmarks.scheduler.ours import Scheduler

ATTEMPTS = 2


class FullMinutes(NamedTuple):
    """Seconds from each full minute to on the queue and recorded as published; MB of 10^6 bytes."""

    median: list[float]
    p99: list[float]
    # The most that the scheduler's process had resident, from its start to the end.
    peak_mb: float
    after_mb: float


async def full_minutes(scheduler: Scheduler, count: int, due: int, minutes: int) -> FullMinutes:
    """`count` crontabs, of which `due` others are due at each of several full minutes in a row."""
    for attempt in range(ATTEMPTS):
        first = full_minute((10 + count / 30_000) * 3**attempt)
        wanted = [first + number * MINUTE for number in range(minutes)]
        await scheduler.insert(rows.due_at_minutes(count, due, wanted))
        with scheduler.process() as (_, pid):
            try:
                await until(first - dt.timedelta(seconds=2))
            except TooSlow:
                continue
            shares = [await _full_minute(scheduler, minute, due) for minute in wanted]
            median, p99 = (list(column) for column in zip(*shares, strict=True))
            return FullMinutes(median, p99, peak_mb(pid), resident_mb(pid))
    raise TooSlow(f"{count} schedules were not there in time, {ATTEMPTS} times")


async def _full_minute(scheduler: Scheduler, minute: dt.datetime, due: int) -> tuple[float, float]:
    """(median, 99th percentile), once the queue holds all that is due, and nothing else."""
    async with scheduler.database() as database, scheduler.broker() as broker:
        if await broker.llen(rows.QUEUE):
            raise AssertionError(f"messages on the queue before {minute:%H:%M}")
        await until(minute)
        await reaches(due, lambda: broker.llen(rows.QUEUE))
        await reaches(due, lambda: database.fetchval(sql.PUBLISHED_OF, minute))
        # What came too much would come now.
        await asyncio.sleep(1)
        _check(await scheduler.messages(), due)
        await broker.delete(rows.QUEUE)
        found = await database.fetch(sql.LATENESS_OF, [0.5, 0.99], minute)
        median, p99 = (float(row[0]) for row in found)
        return median, p99


def _check(messages: list[Mapping[str, Any]], due: int) -> None:
    identities = {message["headers"]["id"] for message in messages}
    bodies = {json.dumps(message["body"]) for message in messages}
    if not len(messages) == len(identities) == len(bodies) == due:
        raise AssertionError(f"{len(messages)} messages, {len(identities)} ids, for {due} schedules")
