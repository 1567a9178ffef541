"""A broker that loses all that it has, and what is found of it."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.cluster import Cluster, wait_until
from tests.chaos.fire import History
from tests.chaos.load import task_id
from tests.chaos.workers import ids_of


def lost_in_one_step(cluster: Cluster, lists: Sequence[str], *, is_replaced: bool) -> list[str]:
    """The broker forgets all that it has, or is another from then on; gives the tasks on these lists."""
    if is_replaced:
        # Nobody puts anything on it between the look at its queues and its end.
        cluster.proxy.cut()
    with cluster.broker.client() as client:
        pipeline = client.pipeline(transaction=True)
        for name in lists:
            pipeline.lrange(name, 0, -1)
        pipeline.flushall()
        pipeline.script_flush()
        lost = [task for messages in pipeline.execute()[: len(lists)] for task in ids_of(messages)]
    if is_replaced:
        cluster.broker.stop()
        cluster.broker.lose_everything()
        cluster.broker.start()
        cluster.proxy.heal()
    return lost


def knows_its_broker(cluster: Cluster) -> bool:
    """The schedulers have seen that it is another, if it is, and are done with what was lost."""
    with cluster.broker.client() as client:
        identity = client.get("celeriac:broker")
    known = cluster.postgres.values("SELECT identity FROM celery_schedule_broker WHERE lost_at IS NULL")
    return isinstance(identity, bytes) and known == [(identity.decode(),)]


def hurt_while_it_looks(cluster: Cluster, chance: random.Random, *, kill: bool) -> None:
    """Whichever replica looks for losses, it or the other is frozen or killed; and the monitor is away."""
    whom = chance.choice(cluster.replicas)
    cluster.to_monitor.cut()
    if kill:
        whom.kill()
        whom.start()
    else:
        whom.signal(signal.SIGSTOP)
    wait_until(time.monotonic() + chance.uniform(0.5, 2.5))
    whom.signal(signal.SIGCONT)
    cluster.to_monitor.heal()


def found_lost(found: History) -> Counter[str]:
    """How often each task was found to be lost, by what its run says."""
    return +Counter(
        {
            task_id(run.schedule, run.due): run.reason.count("; sent again: ") + run.reason.count("; lost: ")
            for run in found.runs
        }
    )
