"""Ids of Celeriac in the log lines of any Celery application: of which request and run a task comes.

The scheduler and the monitor put two headers into the messages that they send. In the module of the
application:

    from celeriac import log_ids

    log_ids.connect()

From then on `current()` returns the ids of the task that is running; `Filter` gives them to each record of
the standard library's logging, and `add_ids` to each event of structlog. Tasks that a task sends get the
headers of that one, so their lines are found by the same ids.

Needs Celery 5.4 or later. It loads neither gRPC nor the stubs, so a worker does not grow by it.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar, Token
from typing import Any

# Headers of a message, and of the name under which log lines have the value.
REQUEST_HEADER, RUN_HEADER = "celeriac_request_id", "celeriac_run"
NAMES = ("request_id", "task_id", "task", "schedule", "run")

_ids: ContextVar[dict[str, str]] = ContextVar("celeriac_log_ids")
# Where a running task keeps what was bound before it, in its own request.
_BEFORE = "_celeriac_log_ids_before"


def connect() -> None:
    """Has each task's ids bound while it runs, and passed on to the tasks that it sends."""
    from celery.signals import before_task_publish, task_postrun, task_prerun

    task_prerun.connect(_bind, weak=False, dispatch_uid="celeriac.log_ids.bind")
    task_postrun.connect(_unbind, weak=False, dispatch_uid="celeriac.log_ids.unbind")
    before_task_publish.connect(_pass_on, weak=False, dispatch_uid="celeriac.log_ids.pass_on")


def current() -> dict[str, str]:
    """Returns the ids of the running task, of NAMES those that it has; empty outside of a task."""
    return dict(_ids.get({}))


def ids_of(request: Any) -> dict[str, str]:
    """Returns the ids of a task by its request (`self.request` of a bound task).

    `run` is the name of the run, "schedules/nightly/runs/2026-11-30T02:00:00Z", and `schedule` its "nightly".
    """
    run = _header(request, RUN_HEADER)
    found = {
        "request_id": _header(request, REQUEST_HEADER),
        "task_id": str(getattr(request, "id", None) or ""),
        "task": str(getattr(request, "task", None) or ""),
        "schedule": run.removeprefix("schedules/").partition("/runs/")[0],
        "run": run,
    }
    return {name: value for name, value in found.items() if value}


class Filter(logging.Filter):
    """Gives each record the ids as attributes, "" where there is none.

    Add it to a handler, whose format may then have them: "%(levelname)s [%(task_id)s] %(message)s".
    """

    def filter(self, record: logging.LogRecord) -> bool:
        ids = _ids.get({})
        for name in NAMES:
            if not hasattr(record, name):
                setattr(record, name, ids.get(name, ""))
        return True


def add_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog; what the event itself says stays."""
    for name, value in _ids.get({}).items():
        event.setdefault(name, value)
    return event


def _header(request: Any, name: str) -> str:
    value = getattr(request, name, None)
    if value is None:
        # Of a task that runs where it is called (task_always_eager).
        value = (getattr(request, "headers", None) or {}).get(name)
    return value if isinstance(value, str) else ""


def _bind(task: Any, **_: Any) -> None:
    setattr(task.request, _BEFORE, _ids.set(ids_of(task.request)))


def _unbind(task: Any, **_: Any) -> None:
    before: Token[dict[str, str]] | None = getattr(task.request, _BEFORE, None)
    if before is not None:
        delattr(task.request, _BEFORE)
        _ids.reset(before)


def _pass_on(headers: dict[str, Any] | None = None, **_: Any) -> None:
    ids = _ids.get({})
    for header, name in ((REQUEST_HEADER, "request_id"), (RUN_HEADER, "run")):
        if headers is not None and name in ids:
            headers.setdefault(header, ids[name])
