"""Lines that libraries write through the standard library's logging, without the values in them.

A library may log any value: Celery logs a whole message that it can't read, asyncio the arguments of a
callback. So only the first line of a record's template is kept, with numbers and exceptions filled in, and an
ellipsis in place of each text or object. Names and ids of tasks are kept, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import structlog

from services.kernel.logged_errors import LEFT_OUT, for_log

# The event of every such line: what the library said is the line's `message`.
EVENT = "library.message"
HOLE = "…"
# asyncio formats its texts itself, values included: "Exception in callback f('…')", and below it the task.
REPR = re.compile(r"[(<{\[]")
COROUTINE = re.compile(r"coro=<([\w.<>]+)\(")
# Keys of a task's name and id in Celery's records, and in our lines. Neither is a secret.
TASK = {"name": "task", "task": "task", "id": "task_id"}


def spare_library(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A structlog processor for lines that are not structlog's own."""
    record: logging.LogRecord = event["_record"]
    arguments: Any = event.pop("positional_args", ())
    told, event["event"] = str(event["event"]), EVENT
    if record.name == "asyncio":
        event["message"] = REPR.split(told.partition("\n")[0])[0].strip()
        if found := COROUTINE.search(record.getMessage()):
            event["coroutine"] = found[1]
        return event
    event["message"] = _filled(str(record.msg).strip().partition("\n")[0], arguments, record)
    event.update(_task_in(arguments))
    return event


def _filled(template: str, arguments: Any, record: logging.LogRecord) -> str:
    if not arguments:
        return _without_exception(template, record)
    if isinstance(arguments, Mapping):
        spared: Any = {
            key: value if key in TASK and isinstance(value, str) else _spared(value)
            for key, value in arguments.items()
        }
    else:
        spared = tuple(map(_spared, arguments))[: _places(template)]
    try:
        return str(template % spared)
    except (TypeError, ValueError, KeyError):
        return template


def _places(template: str) -> int:
    """Returns how many arguments the first line of a template takes."""
    return len(re.findall(r"%(?!%)", template.replace("%%", "")))


def _spared(value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    return for_log(value) if isinstance(value, BaseException) else _Hole()


class _Hole:
    """Prints as an ellipsis in a template, by %s and by %r."""

    def __str__(self) -> str:
        return HOLE

    __repr__ = __str__


def _without_exception(text: str, record: logging.LogRecord) -> str:
    """Returns a text that the library formatted itself, without the text of the record's exception."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        for written in (repr(error), str(error)):
            text = text.replace(written, LEFT_OUT) if written else text
    return text


def _task_in(arguments: Any) -> dict[str, str]:
    tables = [arguments] if isinstance(arguments, Mapping) else arguments
    found: dict[str, str] = {}
    for table in tables if isinstance(tables, tuple | list) else ():
        if isinstance(table, Mapping):
            texts = {key: value for key, value in table.items() if isinstance(value, str)}
            found |= {TASK[key]: value for key, value in texts.items() if key in TASK}
    return found
