"""Celery messages, written as Celery itself writes them, so that a stock worker runs them.

Protocol 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html) in the envelope of kombu's Redis
transport (kombu/transport/virtual/base.py, redis.py).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from dataclasses import dataclass

import orjson

from services.scheduler.schedules import Task

ORIGIN = "celeriac@scheduler"
# kombu's defaults: priorities share four lists, and a list's name is the queue's, then the separator.
PRIORITY_STEPS = (0, 3, 6, 9)
SEPARATOR = "\x06\x16"


@dataclass(frozen=True)
class Message:
    """A message ready for the broker: the list that it goes to, and its bytes."""

    task_id: str
    queue: str
    key: bytes
    envelope: bytes
    # The task-sent event that tells monitors of it.
    event: dict[str, object]


def queue_key(queue: str, priority: int) -> bytes:
    """The Redis list of a queue for a priority."""
    step = max(step for step in PRIORITY_STEPS if step <= priority)
    return (queue if step == 0 else f"{queue}{SEPARATOR}{step}").encode()


class Letterhead:
    """What all messages of one schedule's version have in common, made once."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._key = queue_key(task.queue, task.priority)
        args, kwargs = orjson.loads(task.args_json), orjson.loads(task.kwargs_json)
        embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
        self._body = base64.b64encode(json.dumps([args, kwargs, embed]).encode()).decode()
        self._argsrepr = repr(tuple(args))[:1024]
        self._kwargsrepr = repr(kwargs)[:1024]

    def message(self, task_id: str, due: dt.datetime, now: dt.datetime) -> Message:
        """The message of one run."""
        task = self._task
        expires = None
        if task.expires is not None:
            expires = (due + dt.timedelta(seconds=task.expires)).isoformat()
        envelope = {
            "body": self._body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**task.headers, **self._headers(task_id, expires)},
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": task.queue},
                "priority": task.priority,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
        return Message(
            task_id, task.queue, self._key, orjson.dumps(envelope), self._event(task_id, expires, now)
        )

    def _headers(self, task_id: str, expires: str | None) -> dict[str, object]:
        task = self._task
        return {
            "lang": "py",
            "task": task.name,
            "id": task_id,
            "shadow": None,
            "eta": None,
            "expires": expires,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [task.time_limit, task.soft_time_limit],
            "root_id": task_id,
            "parent_id": None,
            "argsrepr": self._argsrepr,
            "kwargsrepr": self._kwargsrepr,
            "origin": ORIGIN,
            "ignore_result": False,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        }

    def _event(self, task_id: str, expires: str | None, now: dt.datetime) -> dict[str, object]:
        return {
            "type": "task-sent",
            "uuid": task_id,
            "root_id": task_id,
            "parent_id": None,
            "name": self._task.name,
            "args": self._argsrepr,
            "kwargs": self._kwargsrepr,
            "retries": 0,
            "eta": None,
            "expires": expires,
            "queue": self._task.queue,
            "exchange": "",
            "routing_key": self._task.queue,
            "hostname": ORIGIN,
            "pid": 0,
            "clock": 0,
            "utcoffset": 0,
            "timestamp": now.timestamp(),
        }


def event_envelope(events: list[dict[str, object]]) -> bytes:
    """Several events as one message of Celery's event exchange ("task-multi")."""
    body = base64.b64encode(orjson.dumps(events)).decode()
    return orjson.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": ORIGIN},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": "celeryev", "routing_key": "task.multi"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )
