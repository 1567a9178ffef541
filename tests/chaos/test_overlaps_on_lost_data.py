"""Schedules whose runs may not overlap, on a broker that loses its data: nothing waits for what is gone."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.chaos.cluster import Cluster, running_cluster
from tests.chaos.exclusive import EACH_POLICY, QUEUE, SKIPPED, exclusives, lengths, overlapping
from tests.chaos.fire import (
    SECONDS,
    SEED,
    SETTLE_SECONDS,
    History,
    history,
    identities,
    nothing_waits,
    settled,
    store_in,
    window_of,
)
from tests.chaos.load import Expected, task_id
from tests.chaos.losing import found_lost, hurt_while_it_looks, knows_its_broker, lost_in_one_step
from tests.chaos.monitor import playing_monitor
from tests.chaos.workers import Workers, lists_of
from tests.support.calls import eventually

LISTS = lists_of(QUEUE)
LOSSES = max(1, int(SECONDS // 40))
MOST_SCHEDULES = len(SKIPPED) * EACH_POLICY - 8
# `make chaos` and `make soak` run it. `make test` has overlaps under fire, and lost data, each by itself.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 200)]


def ready_to_lose(cluster: Cluster) -> bool:
    """Most schedules have a message on the queue, and runs wait for them.

    All that was pushed is known to be published: what workers took is never published anew.
    """
    with cluster.broker.client() as client:
        queued = sum(client.llen(name) for name in LISTS)
    unpublished = cluster.postgres.values("SELECT FROM celery_schedule_batches WHERE published_at IS NULL")
    waiting = cluster.postgres.values(
        "SELECT FROM celery_schedule_runs WHERE state = 'waiting' AND reason LIKE '%; waits: %'"
    )
    return queued >= MOST_SCHEDULES and len(waiting) >= EACH_POLICY and unpublished == []


def stopped(cluster: Cluster, expected: Sequence[Expected]) -> list[Expected]:
    """Nothing more is due; with the due times that there were."""
    cluster.postgres.run("UPDATE celery_schedules SET next_run_at = NULL")
    last = dict(cluster.postgres.values("SELECT id, last_run_at FROM celery_schedules"))
    return [
        each._replace(due=tuple(due for due in each.due if due <= last[each.definition.id]))
        for each in expected
    ]


def test_no_run_waits_for_one_whose_message_is_gone_and_none_is_sent_beside_another(
    certificates: Path, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with running_cluster(certificates, tmp_path, count=2) as cluster:
        window = window_of(60 * LOSSES)
        expected = exclusives(window, resend_lost=True)
        store_in(cluster, expected, window)
        workers = Workers(cluster.broker, QUEUE, lengths(expected))
        workers.start()
        chance, lost = random.Random(SEED), Counter[str]()
        told = f"CELERIAC_CHAOS_SEED={SEED}; logs in {tmp_path}"
        with playing_monitor(certificates, cluster.to_monitor.target, workers):
            for replica in cluster.replicas:
                replica.start()
            eventually(lambda: workers.received and knows_its_broker(cluster))
            for number in range(SEED, SEED + LOSSES):
                is_odd = number % 2 == 1
                workers.rest()
                eventually(lambda: ready_to_lose(cluster))
                lost.update(lost_in_one_step(cluster, LISTS, is_replaced=is_odd))
                workers.go_on()
                hurt_while_it_looks(cluster, chance, kill=is_odd)
                eventually(lambda: knows_its_broker(cluster))
            expected = stopped(cluster, expected)
            eventually(lambda: nothing_waits(cluster) and settled(cluster), SETTLE_SECONDS)
            codes = [replica.stop() for replica in cluster.replicas]
            with cluster.broker.client() as client:
                eventually(lambda: sum(client.llen(name) for name in LISTS) == 0)
        workers.end()
        found = history(cluster)
    assert overlapping(expected, workers.works) == [], told
    found.check(expected, told)
    check_decisions(expected, found, workers.received, lost, told)
    # One that was started a moment ago dies of the signal itself.
    assert set(codes) <= {0, -signal.SIGTERM}, told


def check_decisions(
    expected: Sequence[Expected], found: History, received: list[str], lost: Counter[str], told: str
) -> None:
    """Each due time was published and taken once, or is passed over, or lost, for a reason that holds."""
    policies = {each.definition.id: each.definition for each in expected}
    state = {task_id(run.schedule, run.due): run.state for run in found.runs}
    published = [task for task, each in state.items() if each == "published"]
    assert Counter(received) == Counter(published), told
    skipped = [run for run in found.runs if run.state == "skipped"]
    unexplained = [run for run in skipped if not SKIPPED[policies[run.schedule].overlap].search(run.reason)]
    assert unexplained == [], told
    given_up = {task for task, each in state.items() if each == "lost"}
    again = identities([each for each in expected if each.definition.resend_lost])
    assert given_up and given_up.isdisjoint(again), told
    # What was pushed as the broker forgot it may be healed before it is found to be lost: then it is not.
    assert found_lost(found) <= lost, told
    assert found_lost(found).keys() & again.keys(), told
    assert set(state.values()) == {"published", "skipped", "lost"}, told
