"""Reads a worker's answers to `active_queues`, `registered` and `conf` (celery/worker/control.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.monitor.tasks.names import cut
from services.monitor.tasks.redaction import Redaction
from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.tasks.values import shortened
from services.monitor.workers.consumed import MOST_QUEUES
from services.monitor.workers.inspection import NotTold, QueueOfWorker, Some

MOST_REGISTERED = 1_000
MOST_OPTIONS = 100
MOST_SETTINGS = 500
MOST_VALUE = 2_000
# What is told of a queue in fields of its own, or says nothing of the queue itself.
TOLD = frozenset({"name", "exchange", "routing_key"})
# Settings with the arguments of tasks, by their new and their old name: the names of the entries are told.
SCHEDULES = frozenset({"beat_schedule", "CELERYBEAT_SCHEDULE"})


def consumed_in(said: Any) -> Some[QueueOfWorker]:
    """By name."""
    if not isinstance(said, list):
        raise NotTold("the answer is not a list of queues")
    told = [each for each in said if isinstance(each, Mapping) and isinstance(each.get("name"), str)]
    found = sorted(map(_queue_in, told), key=lambda queue: queue.name)
    return Some(tuple(found[:MOST_QUEUES]), len(found))


def _queue_in(told: Mapping[str, Any]) -> QueueOfWorker:
    exchange = told.get("exchange")
    through: Mapping[str, Any] = exchange if isinstance(exchange, Mapping) else {}
    options = {
        name[:MOST_NAME]: _json(value)
        for name, value in told.items()
        if name not in TOLD and value not in (None, False, [], {})
    }
    return QueueOfWorker(
        cut(told["name"]),
        _text(through.get("name")),
        _text(through.get("type")),
        _text(told.get("routing_key")),
        dict(sorted(options.items())[:MOST_OPTIONS]),
    )


def registered_in(said: Any) -> Some[str]:
    """In the order of the alphabet."""
    if not isinstance(said, list):
        raise NotTold("the answer is not a list of tasks")
    names = sorted({shortened(name, MOST_NAME) for name in said if isinstance(name, str) and name})
    return Some(tuple(names[:MOST_REGISTERED]), len(names))


def configuration_in(said: Any, redaction: Redaction) -> Mapping[str, str]:
    """Returns each setting as JSON, without secrets.

    Celery has replaced what it takes for a secret; names of the operator's own, and passwords in addresses
    wherever they stand, are replaced here.
    """
    if not isinstance(said, Mapping):
        raise NotTold("the answer is not a table of settings")
    names = sorted(name for name in said if isinstance(name, str))[:MOST_SETTINGS]
    return {shortened(name, MOST_NAME): _setting(name, said[name], redaction) for name in names}


def _setting(name: str, value: Any, redaction: Redaction) -> str:
    if name in SCHEDULES and isinstance(value, Mapping):
        value = sorted(map(str, value))
    # With its name before it, by which it may be known for a secret. The names of settings are plain words.
    before = f'"{name}": '
    shown = redaction.setting(before + _json(value))
    return shortened(shown.removeprefix(before), MOST_VALUE)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    return cut(value) if isinstance(value, str) else ""
