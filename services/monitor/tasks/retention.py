"""Deletes tasks that are older than the live setting allows, where they do not go with their generation.

A closed generation is dropped as a whole (generations.py). Here are deleted tasks of the one that is written,
if they are kept for a shorter time than it lasts, and of generations that are longer than they are now made.
"""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection, Database
from services.kernel.live_keys import TASKS_RETENTION
from services.kernel.live_settings import LiveSettings
from services.kernel.retention import Retention
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.generations import mixed
from services.monitor.tasks.store_generations import GenerationStore


def task_retention(database: Database, live: LiveSettings, pace: Pace = USUAL) -> Retention:
    """Returns the loop that deletes tasks of which every event is older than the live setting allows."""
    return Retention("old_tasks", database, live, TASKS_RETENTION, _delete, pace)


async def _delete(connection: Connection, age: dt.timedelta, most: int) -> int:
    store, now, deleted = GenerationStore(connection), dt.datetime.now(dt.UTC), 0
    for generation in mixed(await store.all(), age, now):
        deleted += await store.delete_before(generation, now - age, most - deleted)
    return deleted
