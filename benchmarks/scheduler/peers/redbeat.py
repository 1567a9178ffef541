"""celery-redbeat: entries in Redis, on the broker's server. Without its lock, which would only cost time."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Any

from benchmarks.scheduler.peers.application import LOOP_SECONDS, application, main
from benchmarks.scheduler.peers.entries import QUEUE, TASK, Entry

app = application(
    beat_scheduler="redbeat.RedBeatScheduler",
    beat_max_loop_interval=LOOP_SECONDS,
    redbeat_redis_url=os.environ["BENCH_REDBEAT_URL"],
    redbeat_lock_key=None,
)
# By name: it has no types.
redbeat: Any = importlib.import_module("redbeat.schedulers")


def make(wanted: Iterable[Entry]) -> None:
    redbeat.get_redis(app).flushdb()
    for entry in wanted:
        _stored(entry).save()


def edit(entry: Entry) -> None:
    found = redbeat.RedBeatSchedulerEntry.from_key(_stored(entry).key, app=app)
    found.schedule = entry._replace(pattern=None).schedule(app)
    found.save()


def _stored(entry: Entry) -> Any:
    return redbeat.RedBeatSchedulerEntry(
        entry.name,
        TASK,
        entry.schedule(app),
        kwargs={"number": entry.number},
        options={"queue": QUEUE},
        last_run_at=entry.last_run_at,
        app=app,
    )


if __name__ == "__main__":
    main(make, edit)
