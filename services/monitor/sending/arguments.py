"""The arguments of tasks that are sent again, as each source tells them.

A source tells them in full or not at all: arguments that are cut, or from which secrets were removed, are
never sent. Values are kept as JSON text, in which Celery's own marks of dates and bytes pass unchanged.
"""

from __future__ import annotations

import ast
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.kernel.celery_message import RESERVED_HEADERS, content_of
from services.kernel.stored_values import Unreadable
from services.monitor.tasks.names import fits
from services.monitor.tasks.stored_json import object_in


class Source(enum.StrEnum):
    """Where arguments come from, in the order in which the sources are asked."""

    SCHEDULE = "schedule"
    RESULT = "result"
    WORKER = "worker"
    EVENT = "event"
    SEALED = "sealed"


@dataclass(frozen=True)
class Arguments:
    """What a task was sent with. Times are in seconds.

    An empty queue, or None as priority: the source has none.
    """

    source: Source
    args_json: str
    kwargs_json: str
    queue: str = ""
    priority: int | None = None
    expires: float | None = None
    soft_time_limit: float | None = None
    time_limit: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


# What stands in texts that are cut (by Celery, in the middle or at its depth; by the monitor), from which a
# secret was removed, whose NUL was replaced, or that a sender has masked as Celery's manual shows it.
NOT_WHOLE = ("...", "…", "[redacted]", "[not kept]", "\ufffd", "**")
# The exact types that JSON gives back as they were. A tuple comes back as a list, as it did when it was sent.
PLAIN = (str, int, float, bool, type(None))
MOST_NESTED = 50
# Bytes of a stored result: of a larger one the arguments are not read.
MOST_BYTES = 1024 * 1024


def sound(arguments: Arguments) -> Arguments | None:
    """Returns the arguments if a message can be made of them."""
    try:
        content_of(arguments.args_json, arguments.kwargs_json)
    except Unreadable:
        return None
    return arguments


def in_meta(value: bytes) -> Arguments | None:
    """Returns the arguments in what the result backend stores; None unless it was told `result_extended`."""
    meta = object_in(value, MOST_BYTES)
    if meta is None:
        return None
    return _of_values(Source.RESULT, meta.get("args"), meta.get("kwargs"), meta.get("queue"))


def in_request(told: Any) -> Arguments | None:
    """Returns the arguments in what a worker tells of a task that it has (`Request.info`)."""
    if not isinstance(told, Mapping):
        return None
    delivery = told.get("delivery_info")
    delivery = delivery if isinstance(delivery, Mapping) else {}
    priority = delivery.get("priority")
    return _of_values(
        Source.WORKER,
        told.get("args"),
        told.get("kwargs"),
        delivery.get("routing_key"),
        priority if type(priority) is int and 0 <= priority <= 255 else None,
    )


def _of_values(
    source: Source, args: Any, kwargs: Any, queue: Any, priority: int | None = None
) -> Arguments | None:
    """Anything may be written there: what has not the form of arguments is none."""
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        return None
    named = queue if isinstance(queue, str) and queue and fits(queue) else ""
    return sound(Arguments(source, json.dumps(args), json.dumps(kwargs), named, priority))


def in_reprs(args: str, kwargs: str, source: Source = Source.EVENT) -> Arguments | None:
    """Returns the arguments in the texts that events have, as Python shows them; None if not all is told."""
    if not args or not kwargs or any(mark in text for text in (args, kwargs) for mark in NOT_WHOLE):
        return None
    try:
        positional, named = ast.literal_eval(args), ast.literal_eval(kwargs)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(positional, (tuple, list)) or not isinstance(named, dict):
        return None
    if not _is_json(positional) or not _is_json(named):
        return None
    return sound(Arguments(source, json.dumps(positional), json.dumps(named)))


def _is_json(value: Any, depth: int = 0) -> bool:
    if depth > MOST_NESTED:
        return False
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(each, depth + 1) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_json(each, depth + 1) for each in value)
    return type(value) in PLAIN


def own_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers without those that are set at sending."""
    return {name: value for name, value in headers.items() if name not in RESERVED_HEADERS}
