"""Keeps a worker off a queue that workers of another application consume.

Both would take messages from it that are meant for the other, and throw them away as unknown tasks.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from services.kernel.others_messages import LEFT_ALONE

# How long workers have to answer. One that is stuck or on its way is not found.
ANSWER_SECONDS = 1.0


def refuse_shared_queues(broker_url: str, queues: Collection[str], own_task: str) -> None:
    """Raises SystemExit that names the queue and the workers, if others consume one of the queues.

    Workers that have registered `own_task` are ours. A process of its own asks them: connections of this one
    would be inherited by the worker's pool, and keep it from ending.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as apart:
        fault = apart.submit(fault_of_queues, broker_url, tuple(queues), own_task).result()
    if fault:
        raise SystemExit(fault)


def fault_of_queues(broker_url: str, queues: Collection[str], own_task: str) -> str:
    """Returns who else consumes one of the queues; empty if nobody does, or if the broker is away.

    Without its broker a worker starts all the same: it waits for the broker, as Celery does.
    """
    with Celery("celeriac-queues", broker=broker_url, set_as_current=False) as app:
        app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0, **LEFT_ALONE}
        try:
            others = _others(app, queues, own_task)
        except (OperationalError, OSError, redis.exceptions.RedisError):
            return ""
    if not others:
        return ""
    named = ", ".join(f"{worker} consumes the queue {queue!r}" for worker, queue in others.items())
    return (
        f"workers of another application are on a queue of Celeriac: {named}. Each would take the other's "
        "tasks. Give Celeriac's queues other names, for example: CELERIAC_QUEUE_PREFIX=celeriac."
    )


def _others(app: Celery, queues: Collection[str], own_task: str) -> dict[str, str]:
    active = app.control.inspect(timeout=ANSWER_SECONDS).active_queues() or {}
    consumers = _consumers_of(queues, active)
    if not consumers:
        return {}
    asked = app.control.inspect(destination=sorted(consumers), timeout=ANSWER_SECONDS)
    registered: Mapping[str, Sequence[str]] = asked.registered() or {}
    return {
        worker: queue
        for worker, queue in sorted(consumers.items())
        # A task with options is listed as "name [option=value]".
        if own_task not in {name.partition(" ")[0] for name in registered.get(worker, ())}
    }


def _consumers_of(
    queues: Collection[str], answers: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, str]:
    """Returns the first of the queues that each worker consumes, by the workers' answers."""
    shared = {
        worker: sorted({str(queue["name"]) for queue in consumed} & set(queues))
        for worker, consumed in answers.items()
    }
    return {worker: names[0] for worker, names in shared.items() if names}
