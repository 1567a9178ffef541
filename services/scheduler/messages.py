"""Celery messages, written as Celery itself writes them, so that a stock worker runs them.

Protocol 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html) in the envelope of kombu's Redis
transport (kombu/transport/virtual/base.py, redis.py).
"""

from __future__ import annotations

import datetime as dt
import uuid
from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

import orjson

from services.scheduler.schedules import Task

ORIGIN = "celeriac@scheduler"
# kombu's defaults: priorities share four lists, and a list's name is the queue's, then the separator.
PRIORITY_STEPS = (0, 3, 6, 9)
SEPARATOR = "\x06\x16"
EMBED = b'{"callbacks":null,"errbacks":null,"chain":null,"chord":null}'


class Message(NamedTuple):
    """A message ready for the broker: the list that it goes to, and its bytes."""

    task_id: str
    queue: str
    key: bytes
    envelope: bytes
    # The task-sent event that tells monitors of it, as JSON.
    event: bytes


@lru_cache(maxsize=1000)
def queue_key(queue: str, priority: int) -> bytes:
    """The Redis list of a queue for a priority."""
    step = max(step for step in PRIORITY_STEPS if step <= priority)
    return (queue if step == 0 else f"{queue}{SEPARATOR}{step}").encode()


class Letterhead:
    """What all messages of one schedule have in common.

    Raises `ValueError` when the arguments are not a JSON list and a JSON object.
    """

    __slots__ = ("_argsrepr", "_body", "_key", "_kwargsrepr", "_task")

    def __init__(self, task: Task) -> None:
        args, kwargs = orjson.loads(task.args_json), orjson.loads(task.kwargs_json)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ValueError("its arguments are not a JSON list and a JSON object")
        self._task = task
        self._key = queue_key(task.queue, task.priority)
        content = b"[%b,%b,%b]" % (task.args_json.encode(), task.kwargs_json.encode(), EMBED)
        self._body = b64encode(content).decode()
        self._argsrepr = repr(tuple(args))[:1024]
        self._kwargsrepr = repr(kwargs)[:1024]

    def message(self, task_id: str, due: dt.datetime, now: dt.datetime) -> Message:
        """The message of one run."""
        task = self._task
        expires = None
        if task.expires is not None:
            expires = (due + dt.timedelta(seconds=task.expires)).isoformat()
        headers = self._headers(task_id, expires)
        envelope = {
            "body": self._body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**task.headers, **headers} if task.headers else headers,
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": task.queue},
                "priority": task.priority,
                "body_encoding": "base64",
                # Names this one message, as the task id does: there is one message a run.
                "delivery_tag": task_id,
            },
        }
        event = orjson.dumps(self._event(task_id, expires, now))
        return Message(task_id, task.queue, self._key, orjson.dumps(envelope), event)

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


def event_envelope(events: list[bytes]) -> bytes:
    """Several events as one message of Celery's event exchange ("task-multi")."""
    body = b64encode(b"[%b]" % b",".join(events)).decode()
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
