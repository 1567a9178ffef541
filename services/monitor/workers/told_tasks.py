"""Reads a worker's answers to `active`, `reserved` and `scheduled` (celery/worker/control.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from celery.utils.saferepr import saferepr

from services.monitor.tasks.names import cut, fits
from services.monitor.tasks.redaction import Redaction
from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.tasks.values import shortened, time_in
from services.monitor.workers.inspection import NotTold, Some, TaskOfWorker

MOST_TASKS = 100
# Characters of arguments, as of those in Celery's events.
MOST_TEXT = 1_000
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def active_in(said: Any, redaction: Redaction) -> Some[TaskOfWorker]:
    """The longest running first."""
    found = _all_in(said, redaction)
    found.sort(key=lambda task: task.started_at or NEVER)
    return Some(tuple(found[:MOST_TASKS]), len(found))


def reserved_in(said: Any, redaction: Redaction) -> Some[TaskOfWorker]:
    found = _all_in(said, redaction)
    return Some(tuple(found[:MOST_TASKS]), len(found))


def scheduled_in(said: Any, redaction: Redaction) -> Some[TaskOfWorker]:
    """The next first."""
    found = _all_in(said, redaction)
    found.sort(key=lambda task: task.eta or NEVER)
    return Some(tuple(found[:MOST_TASKS]), len(found))


def _all_in(said: Any, redaction: Redaction) -> list[TaskOfWorker]:
    if not isinstance(said, list):
        raise NotTold("the answer is not a list of tasks")
    return list(_tasks_in(said, redaction))


def _tasks_in(said: list[Any], redaction: Redaction) -> Iterator[TaskOfWorker]:
    for each in said:
        if not isinstance(each, Mapping):
            continue
        inner = each.get("request")
        told, eta = (inner, each.get("eta")) if isinstance(inner, Mapping) else (each, None)
        task_id = told.get("id")
        if isinstance(task_id, str) and task_id and fits(task_id):
            yield _task_in(task_id.replace("\0", "�"), told, eta, redaction)


def _task_in(task_id: str, told: Mapping[str, Any], eta: Any, redaction: Redaction) -> TaskOfWorker:
    delivery = told.get("delivery_info")
    way: Mapping[str, Any] = delivery if isinstance(delivery, Mapping) else {}
    queue, pid, priority = way.get("routing_key"), told.get("worker_pid"), way.get("priority")
    name = told.get("name")
    return TaskOfWorker(
        task_id,
        shortened(name, MOST_NAME) if isinstance(name, str) else "",
        _arguments(told.get("args"), redaction),
        _arguments(told.get("kwargs"), redaction),
        cut(queue) if isinstance(queue, str) else "",
        _moment(told.get("time_start")),
        time_in(eta) if isinstance(eta, str) else None,
        pid if type(pid) is int and 0 < pid < 2**63 else None,
        told.get("acknowledged") is True,
        way.get("redelivered") is True,
        priority if type(priority) is int and abs(priority) < 2**31 else 0,
    )


def _arguments(value: Any, redaction: Redaction) -> str:
    """A text is what Celery shows of arguments already; other values are shown as Celery does it."""
    text = value if isinstance(value, str) else saferepr(value, maxlen=2 * MOST_TEXT)
    return shortened(redaction.argument(text), MOST_TEXT)


def _moment(seconds: Any) -> dt.datetime | None:
    if not isinstance(seconds, float) or not 0 < seconds < 1e11:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
