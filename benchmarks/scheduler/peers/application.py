"""What the peers have in common: a Celery application as their users have it, and commands around its beat.

Where all is comes from the environment: BENCH_BROKER_URL, BENCH_REDBEAT_URL, BENCH_DJANGO_DATABASE, and
BENCH_ENTRIES (entries.py).
Set up for the best rate: nothing is logged, no events are sent, no results are kept.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis
from celery import Celery

from benchmarks.scheduler.peers.entries import QUEUE, Entry, entries

# The longest that a beat sleeps when changes must be seen: django-celery-beat's default.
LOOP_SECONDS = 5.0
EDIT_SECONDS = 60.0


def application(**settings: Any) -> Celery:
    app = Celery("peer", broker=os.environ["BENCH_BROKER_URL"])
    # Without results no entry cleans them up.
    common = {"enable_utc": True, "timezone": "UTC", "task_ignore_result": True, "result_expires": None}
    app.conf.update(common, **settings)
    return app


def main(make: Callable[[Iterable[Entry]], None], edit: Callable[[Entry], None]) -> None:
    """python -m … make: stores the entries; python -m … edit N: makes N of them due, one after the other.

    `make` replaces all entries; `edit` turns a stored crontab that is not due into an hourly one that is, and
    returns when that is stored. Prints how many seconds later each message was on the queue.
    """
    command, *arguments = sys.argv[1:]
    if command == "make":
        make(entries())
        return
    count, edited = int(arguments[0]), list(entries())
    print(json.dumps([_seconds_until_sent(edit, entry) for entry in edited[:count]]))


def _seconds_until_sent(edit: Callable[[Entry], None], entry: Entry) -> float:
    # At any time within the beat's loop.
    time.sleep(random.uniform(0, LOOP_SECONDS))
    with redis.Redis.from_url(os.environ["BENCH_BROKER_URL"]) as client:
        before = int(client.llen(QUEUE))
        edit(entry)
        stored = time.monotonic()
        while int(client.llen(QUEUE)) == before:
            if time.monotonic() > stored + EDIT_SECONDS:
                raise TimeoutError(f"the edit of {entry.name} was not seen")
            time.sleep(0.002)
        return time.monotonic() - stored
