"""A broker that forgets what it has: what was queued is lost or sent again, and nothing runs twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.chaos.cluster import Cluster, running_cluster, wait_until
from tests.chaos.fire import SEED, SETTLE_SECONDS, history, identities, settled, store_in, window_of
from tests.chaos.load import QUEUE, load
from tests.chaos.workers import Workers, ids_of, lists_of
from tests.support.calls import eventually

LISTS = lists_of(QUEUE)
pytestmark = pytest.mark.timeout(200)


def lost_in_one_step(cluster: Cluster, *, is_replaced: bool) -> list[str]:
    """The broker forgets all that it has, or is another from then on; what was queued is what is lost."""
    if is_replaced:
        # Nobody puts anything on it between the look at its queues and its end.
        cluster.proxy.cut()
    with cluster.broker.client() as client:
        pipeline = client.pipeline(transaction=True)
        for name in LISTS:
            pipeline.lrange(name, 0, -1)
        pipeline.flushall()
        pipeline.script_flush()
        lost = [task for messages in pipeline.execute()[: len(LISTS)] for task in ids_of(messages)]
    if is_replaced:
        cluster.broker.stop()
        cluster.broker.lose_everything()
        cluster.broker.start()
        cluster.proxy.heal()
    return lost


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
            lost += lost_in_one_step(cluster, is_replaced=number == 2)
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
