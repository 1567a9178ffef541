"""Reads what a client sends: a subscription, which replaces the one before, or a ping."""

from __future__ import annotations

import json
from typing import Any

from celeriac.monitor.v1 import tasks_pb2
from celeriac.monitor.v1.monitoring_pb2 import WatchEventsRequest
from google.protobuf.duration_pb2 import Duration

from services.kernel.errors import FieldFault, Invalid

EXAMPLE = '{"subscribe": {"metrics_interval": "1s", "tasks": {"states": ["FAILURE"]}}}'
# What a client gets that says nothing: figures each second, and the newest change of each task.
USUAL = WatchEventsRequest(metrics_interval=Duration(seconds=1), task_interval=Duration(seconds=1))
# Filters of tasks that are lists of texts, by the names that may be used: those of the contract, or in the
# singular, as in a query.
TEXTS = {
    "task_names": "task_names",
    "task_name": "task_names",
    "queues": "queues",
    "queue": "queues",
    "workers": "workers",
    "worker": "workers",
}
STATES = frozenset({"states", "state"})
PREFIX = "TASK_STATE_"
NAMES = tuple(tasks_pb2.TaskState.keys())[1:]


class Ping:
    """The client asks for an answer."""


def wish_in(text: str) -> WatchEventsRequest | Ping:
    """Returns what the client wants. Raises `Invalid` with what is wrong.

    The monitor checks the values: intervals, and the names of queues and workers.
    """
    try:
        said = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _fault("message", f"is no JSON: {error}", EXAMPLE) from None
    try:
        json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # JSON can name them (RFC 8259, section 8.2), and no text can have them.
        raise _fault("message", "has half of a surrogate pair", EXAMPLE) from None
    if said == {"ping": True}:
        return Ping()
    if not isinstance(said, dict) or set(said) != {"subscribe"} or not isinstance(said["subscribe"], dict):
        raise _fault("message", 'is neither {"subscribe": {...}} nor {"ping": true}', EXAMPLE)
    return _subscription(said["subscribe"])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _subscription(said: dict[str, Any]) -> WatchEventsRequest:
    wish = WatchEventsRequest()
    wish.CopyFrom(USUAL)
    for field, value in said.items():
        path = f"subscribe.{field}"
        if field in ("metrics_interval", "task_interval"):
            getattr(wish, field).CopyFrom(_interval(value, path))
        elif field == "tasks":
            _tasks(value, path, wish)
        elif field == "cursor" and isinstance(value, str):
            wish.cursor = value
        elif field == "cursor":
            raise _fault(path, "is no text", "the cursor of the last message")
        else:
            raise _fault(path, "is not known: metrics_interval, task_interval, tasks and cursor are", EXAMPLE)
    if wish.without_tasks:
        wish.ClearField("task_interval")
    return wish


def _tasks(said: Any, path: str, wish: WatchEventsRequest) -> None:
    if said is False or said is True:
        wish.without_tasks = not said
        return
    if not isinstance(said, dict):
        raise _fault(path, "is neither false nor an object with filters", '{"states": ["FAILURE"]}')
    for field, value in said.items():
        if field in STATES:
            wish.states.extend(_states(value, f"{path}.{field}"))
        elif field in TEXTS:
            getattr(wish, TEXTS[field]).extend(_texts(value, f"{path}.{field}", '["ai_analysis"]'))
        elif field == "ended_only" and isinstance(value, bool):
            wish.ended_only = value
        elif field == "ended_only":
            raise _fault(f"{path}.{field}", "is neither true nor false", "true")
        else:
            known = "states, task_names, queues, workers and ended_only are"
            raise _fault(f"{path}.{field}", f"is not known: {known}", EXAMPLE)


def _interval(said: Any, path: str) -> Duration:
    interval = Duration()
    try:
        interval.FromJsonString(said if isinstance(said, str) else "")
    except ValueError:
        raise _fault(path, "is not a time in seconds with the letter s", '"1s"') from None
    return interval


def _states(said: Any, path: str) -> list[Any]:
    # Any: the stubs have one type for reading an enum, and another for writing it.
    found: list[Any] = []
    for name in _texts(said, path, '["FAILURE"]'):
        full = name if name.startswith(PREFIX) else PREFIX + name
        if full not in NAMES:
            known = ", ".join(each.removeprefix(PREFIX) for each in NAMES)
            raise _fault(path, f"has {name[:50]!r}, which is none of {known}", '["FAILURE"]')
        found.append(tasks_pb2.TaskState.Value(full))
    return found


def _texts(said: Any, path: str, example: str) -> list[str]:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _fault(path, "is neither a text nor a list of texts", example)
    return texts


def _fault(field: str, fault: str, example: str) -> Invalid:
    return Invalid([FieldFault(field, fault, example)])
