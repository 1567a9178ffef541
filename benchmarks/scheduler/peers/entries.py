"""The peers' entries: described to their processes by the environment, made there."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

from celery import Celery
from celery.schedules import crontab, schedule

from benchmarks.scheduler.crontabs import crontabs

TASK, QUEUE = "bench.count", "peer"
# What an edit makes of a crontab: overdue at once.
HOURLY = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Entries:
    """`count` entries. Without `minute` (ISO 8601, UTC) they are hourly ones that last ran two hours ago: all
    are due. With it they are crontabs; `due` of them match that minute, the others none for two hours before
    and after.
    """

    count: int
    minute: str = ""
    due: int = 0

    def environment(self) -> dict[str, str]:
        return {"BENCH_ENTRIES": json.dumps(asdict(self))}


class Entry(NamedTuple):
    number: int
    # "* * * * *", in UTC; None: hourly.
    pattern: str | None
    last_run_at: dt.datetime

    @property
    def name(self) -> str:
        return f"entry-{self.number}"

    def schedule(self, app: Celery) -> schedule | crontab:
        """As Celery has it."""
        if self.pattern is None:
            return schedule(HOURLY, app=app)
        minute, hour, day, month, weekday = self.pattern.split()
        return crontab(minute, hour, weekday, day, month, app=app)


def entries() -> Iterator[Entry]:
    """Those that the environment describes."""
    wanted, now = Entries(**json.loads(os.environ["BENCH_ENTRIES"])), dt.datetime.now(dt.UTC)
    if not wanted.minute:
        return (Entry(number, None, now - 2 * HOURLY) for number in range(wanted.count))
    moment = dt.datetime.fromisoformat(wanted.minute)
    patterns = crontabs(wanted.count, wanted.due, [moment])
    # An edit finds a last run that is long enough ago.
    last = now if wanted.due else now - 2 * HOURLY
    return (Entry(number, pattern, last) for number, pattern in enumerate(patterns))
