"""Three schedulers under fire, and what is found when it is over.

CELERIAC_CHAOS_SECONDS says for how long (300 by `make chaos`), CELERIAC_CHAOS_SEED which fire it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.chaos import exclusive
from tests.chaos.cluster import Cluster, running_cluster, wait_until
from tests.chaos.hand import Hand, Hurt, planned
from tests.chaos.load import QUEUE, Expected, Window, load, store, task_id
from tests.chaos.monitor import playing_monitor
from tests.chaos.workers import Work, Workers, ids_of, lists_of
from tests.support.calls import eventually

SECONDS = float(os.environ.get("CELERIAC_CHAOS_SECONDS", "24"))
# In the suite always the same fire, so that a change is what makes it fail; `make chaos` chooses another.
SEED = int(os.environ.get("CELERIAC_CHAOS_SEED", "7"))
# Due already when the schedulers start; and so, at the least, a full minute is among the due times.
BEFORE = dt.timedelta(seconds=25)
SETTLE_SECONDS = 90.0


class SeenRun(NamedTuple):
    """A row of the run history."""

    schedule: str
    due: dt.datetime
    state: str
    reason: str


@dataclass(frozen=True)
class History:
    """What the database has recorded."""

    runs: Sequence[SeenRun]
    # How many due times each schedule has counted.
    counted: dict[str, int]

    def of(self, expected: Sequence[Expected]) -> History:
        """Only of those schedules."""
        wanted = {each.definition.id for each in expected}
        runs = [run for run in self.runs if run.schedule in wanted]
        counted = {name: count for name, count in self.counted.items() if name in wanted}
        return History(runs, counted)

    def check(self, expected: Sequence[Expected], told: str) -> None:
        """It has the due times, once each, and schedules have counted them."""
        due = {(each.definition.id, moment) for each in expected for moment in each.due}
        recorded = {(run.schedule, run.due) for run in self.runs}
        assert recorded == due, f"{len(due - recorded)} not recorded, {len(recorded - due)} too many; {told}"
        assert self.counted == {each.definition.id: len(each.due) for each in expected}, told

    def states(self) -> Counter[str]:
        return Counter(run.state for run in self.runs)


@dataclass(frozen=True)
class Aftermath:
    """What is found when everything is well again and the schedulers have ended."""

    expected: Sequence[Expected]
    exclusives: Sequence[Expected]
    history: History
    # Tasks on the queue that nobody takes from, and those that workers have taken from the other.
    published: Sequence[str]
    works: Sequence[Work]
    # Exit codes of replicas: when they were asked to end, and of those that did so unasked.
    codes: Sequence[int]
    ended_by_themselves: Sequence[int]
    # To repeat it, and to look for the cause.
    told: str


def window_of(seconds: float) -> Window:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return now - BEFORE, now + dt.timedelta(seconds=seconds)


def store_in(cluster: Cluster, expected: Sequence[Expected], window: Window) -> None:
    asyncio.run(store(cluster.postgres.url, expected, window[0]))


def settled(cluster: Cluster) -> bool:
    """Nothing is due any more, and nothing waits to be published."""
    due = cluster.postgres.values("SELECT count(*) FROM celery_schedules WHERE next_run_at IS NOT NULL")
    unpublished = "SELECT count(*) FROM celery_schedule_batches WHERE published_at IS NULL"
    return due == cluster.postgres.values(unpublished) == [(0,)]


def nothing_waits(cluster: Cluster) -> bool:
    """No run is held back by another."""
    return cluster.postgres.values("SELECT FROM celery_schedule_runs WHERE state = 'waiting'") == []


def history(cluster: Cluster) -> History:
    runs = cluster.postgres.values("SELECT schedule_id, due_at, state, reason FROM celery_schedule_runs_seen")
    counted = cluster.postgres.values("SELECT id, run_count FROM celery_schedules")
    return History([SeenRun(*run) for run in runs], dict(counted))


def identities(expected: Sequence[Expected]) -> dict[str, str]:
    """Task ids, and what they stand for."""
    return {
        task_id(each.definition.id, due): f"{each.definition.id} at {due.isoformat()}"
        for each in expected
        for due in each.due
    }


def aftermath_of_a_fire(state: Path, logs: Path) -> Aftermath:
    with running_cluster(state, logs) as cluster:
        window = window_of(SECONDS)
        expected, exclusives = load(window), exclusive.exclusives(window)
        store_in(cluster, [*expected, *exclusives], window)
        workers = Workers(cluster.broker, exclusive.QUEUE, exclusive.lengths(exclusives))
        workers.start()
        with playing_monitor(state, cluster.to_monitor.target, workers):
            told = _put_under_fire(cluster, logs)
            # Gracefully: whatever is on its way has arrived when they have ended.
            codes = [replica.stop() for replica in cluster.replicas]
        with cluster.broker.client() as client:
            eventually(lambda: not any(client.llen(name) for name in lists_of(exclusive.QUEUE)))
            published = [task for name in lists_of(QUEUE) for task in ids_of(client.lrange(name, 0, -1))]
        workers.end()
        ended = cluster.ended_by_themselves()
        return Aftermath(expected, exclusives, history(cluster), published, workers.works, codes, ended, told)


def _put_under_fire(cluster: Cluster, logs: Path) -> str:
    """Until all that was due is settled; tells what was done."""
    ends = time.monotonic() + SECONDS
    told = hurt(cluster, planned(SEED, SECONDS), logs)
    wait_until(ends)
    try:
        eventually(lambda: settled(cluster), SETTLE_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"not settled; {told}") from error
    # What waits for ever is found in the history.
    with contextlib.suppress(AssertionError):
        eventually(lambda: nothing_waits(cluster) and settled(cluster), SETTLE_SECONDS)
    return told


def hurt(cluster: Cluster, hurts: list[Hurt], logs: Path) -> str:
    """Starts the replicas, does it all, and heals; tells what was done."""
    for replica in cluster.replicas:
        replica.start()
    hand = Hand(cluster)
    told = f"CELERIAC_CHAOS_SEED={SEED} CELERIAC_CHAOS_SECONDS={SECONDS:g}; logs in {logs}"
    try:
        hand.hurt(hurts)
    except Exception as error:
        raise AssertionError(f"the hand slipped; {told}; done:\n" + "\n".join(hand.done)) from error
    cluster.heal()
    return f"{told}; done:\n" + "\n".join(hand.done)
