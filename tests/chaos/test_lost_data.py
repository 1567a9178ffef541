"""A broker that forgets what it has: what was queued is lost or sent again, and nothing runs twice."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.chaos.cluster import Cluster, running_cluster, wait_until
from tests.chaos.fire import SEED, SETTLE_SECONDS, history, identities, settled, store_in, window_of
from tests.chaos.load import QUEUE, Expected, Window, load, task_id
from tests.chaos.losing import found_lost, hurt_while_it_looks, knows_its_broker, lost_in_one_step
from tests.chaos.monitor import playing_monitor
from tests.chaos.workers import Workers, lists_of
from tests.support.calls import eventually

LISTS = lists_of(QUEUE)
pytestmark = pytest.mark.timeout(200)


def ended(cluster: Cluster, workers: Workers) -> list[int]:
    """Once all is settled, and taken; the replicas' exit codes."""
    eventually(lambda: settled(cluster), SETTLE_SECONDS)
    codes = [replica.stop() for replica in cluster.replicas]
    with cluster.broker.client() as client:
        eventually(lambda: sum(client.llen(name) for name in LISTS) == 0)
    workers.end()
    return codes


def test_a_broker_that_loses_its_data_loses_what_was_queued_and_nothing_runs_twice(
    certificates: Path, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with running_cluster(certificates, tmp_path, count=2) as cluster:
        window = window_of(14)
        expected = load(window)
        store_in(cluster, expected, window)
        for replica in cluster.replicas:
            replica.start()
        workers, lost = Workers(cluster.broker, QUEUE), list[str]()
        workers.start()
        eventually(lambda: workers.received)
        began, chance = time.monotonic(), random.Random(SEED)
        for number in range(4):
            workers.rest()
            # Long enough that something is queued, and what was taken before is known to be published.
            wait_until(began + 3 * number + chance.uniform(1.2, 2.2))
            lost += lost_in_one_step(cluster, LISTS, is_replaced=number == 2)
            workers.go_on()
        codes = ended(cluster, workers)
        told, wanted = f"CELERIAC_CHAOS_SEED={SEED}; logs in {tmp_path}", identities(expected)
        assert [task for task, count in Counter(workers.received).items() if count > 1] == [], told
        assert lost, told
        # Without its answer, a step that was carried out is sent again, to a broker that has forgotten it.
        assert wanted.keys() - set(workers.received) == set(lost) - set(workers.received), told
        found = history(cluster)
        found.check(expected, told)
        assert found.states() == {"published": len(wanted)}, told
        assert codes == [0, 0], told


def half_of_them_sent_again(window: Window) -> list[Expected]:
    """Each due on the second; a lost run is sent again of every other one, and of the rest is only marked."""
    expected = (each for each in load(window, 40, 0, 0) if each.definition.id.startswith("second-"))
    return [
        each._replace(definition=dataclasses.replace(each.definition, resend_lost=number % 2 == 0))
        for number, each in enumerate(expected)
    ]


def nothing_on_its_way(cluster: Cluster) -> bool:
    """Something is queued, all of it is known to be published, and nothing is due for a moment.

    What is pushed before a loss and not known to be published may be healed before it is found to be lost:
    then it is none.
    """
    with cluster.broker.client() as client:
        queued = any(client.llen(name) for name in LISTS)
    unpublished = "SELECT count(*) FROM celery_schedule_batches WHERE published_at IS NULL"
    return queued and 0.3 < time.time() % 1 < 0.7 and cluster.postgres.values(unpublished) == [(0,)]


def looked_just_now(cluster: Cluster) -> bool:
    """So that some is published between the loss and the next look, and must not be taken to be lost."""
    recent = "SELECT clock_timestamp() - seen_at < interval '1.5 seconds' FROM celery_schedule_broker"
    return cluster.postgres.values(recent) == [(True,)]


@pytest.mark.soak
def test_what_was_lost_is_sent_again_once_for_each_loss_and_marked_and_what_a_worker_took_is_not(
    certificates: Path, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with running_cluster(certificates, tmp_path, count=2) as cluster:
        window = window_of(10)
        expected = half_of_them_sent_again(window)
        store_in(cluster, expected, window)
        # Some go on until long after the loss, unfinished as far as anybody knows.
        workers = Workers(cluster.broker, QUEUE, lambda task: random.Random(task).choice([0.2, 1.5, 60.0]))
        workers.start()
        chance, lost = random.Random(SEED), Counter[str]()
        told = f"CELERIAC_CHAOS_SEED={SEED}; logs in {tmp_path}"
        with playing_monitor(certificates, cluster.to_monitor.target, workers):
            for replica in cluster.replicas:
                replica.start()
            eventually(lambda: workers.received and knows_its_broker(cluster))
            workers.rest()
            for is_second in (False, True):
                # The second loses some of what was sent again after the first.
                eventually(lambda: looked_just_now(cluster) and nothing_on_its_way(cluster))
                lost.update(lost_in_one_step(cluster, LISTS, is_replaced=is_second))
                hurt_while_it_looks(cluster, chance, kill=is_second)
                eventually(lambda: knows_its_broker(cluster))
                assert found_lost(history(cluster)) == lost, told
            workers.go_on()
            codes = ended(cluster, workers)
        wanted, found = identities(expected), history(cluster)
        found.check(expected, told)
        again = identities([each for each in expected if each.definition.resend_lost])
        given_up = lost.keys() - again.keys()
        assert given_up and max(lost.values()) == 2, told
        assert Counter(workers.received) == Counter(wanted.keys() - given_up), told
        states = {task_id(run.schedule, run.due): run.state for run in found.runs}
        assert states == {task: "lost" if task in given_up else "published" for task in wanted}, told
        assert found_lost(found) == lost, told
        assert codes == [0, 0], told
