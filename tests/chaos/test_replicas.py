"""Three schedulers under fire: each due time is published exactly once, by the broker's own record.

CELERIAC_CHAOS_SECONDS says for how long (300 by `make chaos`), CELERIAC_CHAOS_SEED which fire it is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis

from deploy.standalone.tokens import LocalIssuer
from tests.chaos.cluster import Broker, Cluster, running_cluster, wait_until
from tests.chaos.hand import Hand, planned
from tests.chaos.load import QUEUE, Expected, load, store, task_id
from tests.support.calls import eventually

SECONDS = float(os.environ.get("CELERIAC_CHAOS_SECONDS", "40"))
# In the suite always the same fire, so that a change is what makes it fail; `make chaos` chooses another.
SEED = int(os.environ.get("CELERIAC_CHAOS_SEED", "7"))
# Due already when the schedulers start; and so, at the least, a full minute is among the due times.
BEFORE = dt.timedelta(seconds=25)
SETTLE_SECONDS = 90.0
# As kombu has it: a list for each step of priorities.
LISTS = [QUEUE, *(f"{QUEUE}\x06\x16{step}" for step in (3, 6, 9))]


def prepared(cluster: Cluster, seconds: float) -> list[Expected]:
    """Schedules with an end, and what is due until then."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    window = now - BEFORE, now + dt.timedelta(seconds=seconds)
    expected = load(window)
    asyncio.run(store(cluster.postgres.url, expected, window[0]))
    return expected


def settled(cluster: Cluster) -> bool:
    """Nothing is due any more, and nothing waits to be published."""
    due = cluster.postgres.values("SELECT count(*) FROM celery_schedules WHERE next_run_at IS NOT NULL")
    unpublished = "SELECT count(*) FROM celery_schedule_batches WHERE published_at IS NULL"
    return due == cluster.postgres.values(unpublished) == [(0,)]


def ids_of(messages: Sequence[bytes]) -> list[str]:
    return [json.loads(message)["headers"]["id"] for message in messages]


def identities(expected: Sequence[Expected]) -> dict[str, str]:
    """Task ids, and what they stand for."""
    return {
        task_id(each.definition.id, due): f"{each.definition.id} at {due.isoformat()}"
        for each in expected
        for due in each.due
    }


def check_table(cluster: Cluster, expected: Sequence[Expected], told: str) -> None:
    """The run history has the due times, each as published, and schedules have counted them."""
    runs = cluster.postgres.values("SELECT schedule_id, due_at, state FROM celery_schedule_runs_seen")
    due = {(each.definition.id, moment) for each in expected for moment in each.due}
    recorded = {(schedule, moment) for schedule, moment, _ in runs}
    assert recorded == due, f"{len(due - recorded)} not recorded, {len(recorded - due)} too many; {told}"
    assert Counter(state for _, _, state in runs) == {"published": len(due)}, told
    counted = dict(cluster.postgres.values("SELECT id, run_count FROM celery_schedules"))
    assert counted == {each.definition.id: len(each.due) for each in expected}, told


@pytest.mark.timeout(SECONDS + 200)
def test_each_due_time_is_published_exactly_once_whatever_is_killed_frozen_cut_or_restarted(
    certificates: Path, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with running_cluster(certificates, tmp_path) as cluster:
        expected = prepared(cluster, SECONDS)
        for replica in cluster.replicas:
            replica.start()
        hand, ends = Hand(cluster), time.monotonic() + SECONDS
        told = f"CELERIAC_CHAOS_SEED={SEED} CELERIAC_CHAOS_SECONDS={SECONDS:g}; logs in {tmp_path}"
        try:
            hand.hurt(planned(SEED, SECONDS))
        except Exception as error:
            raise AssertionError(f"the hand slipped; {told}; done:\n" + "\n".join(hand.done)) from error
        cluster.heal()
        wait_until(ends)
        told += "; done:\n" + "\n".join(hand.done)
        try:
            eventually(lambda: settled(cluster), SETTLE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"not settled; {told}") from error
        # Gracefully: whatever is on its way has arrived when they have ended.
        codes = [replica.stop() for replica in cluster.replicas]
        with cluster.broker.client() as client:
            published = [task for name in LISTS for task in ids_of(client.lrange(name, 0, -1))]
        wanted = identities(expected)
        doubled = [wanted.get(task, task) for task, count in Counter(published).items() if count > 1]
        missing = sorted(wanted[task] for task in wanted.keys() - set(published))
        unknown = set(published) - wanted.keys()
        assert (doubled, missing, unknown) == ([], [], set()), told
        check_table(cluster, expected, told)
        assert cluster.ended_by_themselves() == [], told
        # One that was started a moment ago dies of the signal itself.
        assert set(codes) <= {0, -signal.SIGTERM}, told


class Consumer(threading.Thread):
    """Takes messages off the queue, as workers do."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(daemon=True)
        self.received: list[str] = []
        self._broker = broker
        self._going, self._resting, self._ended = threading.Event(), threading.Event(), False
        self._going.set()

    def run(self) -> None:
        while not self._ended:
            if not self._going.is_set():
                self._resting.set()
                self._going.wait()
                continue
            with self._broker.client() as client:
                found = client.brpop(LISTS, timeout=0.2)
            if found is not None:
                self.received += ids_of([found[1]])

    def rest(self) -> None:
        """Returns when nothing is being taken any more."""
        self._resting.clear()
        self._going.clear()
        assert self._resting.wait(10)

    def go_on(self) -> None:
        self._going.set()

    def end(self) -> None:
        self._ended = True
        self._going.set()
        self.join(10)


def lost_in_one_step(client: redis.Redis) -> list[str]:
    """The broker forgets all that it has; what was queued is what is lost."""
    pipeline = client.pipeline(transaction=True)
    for name in LISTS:
        pipeline.lrange(name, 0, -1)
    pipeline.flushall()
    pipeline.script_flush()
    return [task for messages in pipeline.execute()[: len(LISTS)] for task in ids_of(messages)]


@pytest.mark.timeout(200)
def test_a_broker_that_loses_its_data_loses_what_was_queued_and_nothing_runs_twice(
    certificates: Path, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with running_cluster(certificates, tmp_path, count=2) as cluster:
        expected = prepared(cluster, 14)
        for replica in cluster.replicas:
            replica.start()
        consumer, lost = Consumer(cluster.broker), list[str]()
        consumer.start()
        eventually(lambda: consumer.received)
        began, chance = time.monotonic(), random.Random(SEED)
        for number in range(4):
            consumer.rest()
            # Long enough that something is queued, and what was taken before is known to be published.
            wait_until(began + 3 * number + chance.uniform(1.2, 2.2))
            is_replaced = number == 2
            if is_replaced:
                # Nobody puts anything on it between the look at its queues and its end.
                cluster.proxy.cut()
            with cluster.broker.client() as client:
                lost += lost_in_one_step(client)
            if is_replaced:
                cluster.broker.stop()
                cluster.broker.lose_everything()
                cluster.broker.start()
                cluster.proxy.heal()
            consumer.go_on()
        eventually(lambda: settled(cluster), SETTLE_SECONDS)
        codes = [replica.stop() for replica in cluster.replicas]
        with cluster.broker.client() as client:
            eventually(lambda: sum(client.llen(name) for name in LISTS) == 0)
        consumer.end()
        told, wanted = f"CELERIAC_CHAOS_SEED={SEED}; logs in {tmp_path}", identities(expected)
        assert [task for task, count in Counter(consumer.received).items() if count > 1] == [], told
        assert lost, told
        # Without its answer, a step that was carried out is sent again, to a broker that has forgotten it.
        assert wanted.keys() - set(consumer.received) == set(lost) - set(consumer.received), told
        check_table(cluster, expected, told)
        assert codes == [0, 0], told
