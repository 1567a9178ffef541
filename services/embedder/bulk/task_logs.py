"""Log lines of tasks: each has the ids of its task, and of the request and the run of which it comes."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celeriac import log_ids
from celery.signals import before_task_publish, task_postrun, task_prerun

from services.kernel.request_ids import current_request_id

log = structlog.get_logger(__name__)

# Where a running task keeps what was bound before it, and when it began.
_BEFORE = "_celeriac_log_before"


def pass_request_id_on() -> None:
    """From now on the messages that this process sends carry the id of the request of which they come."""
    before_task_publish.connect(_pass_on, weak=False)


def bind_ids() -> None:
    """From now on the lines that this process logs in a task have its ids, and a line tells how it ended."""
    task_prerun.connect(_bind, weak=False)
    task_postrun.connect(_tell, weak=False)


def _bind(task: Any, **_: Any) -> None:
    tokens = structlog.contextvars.bind_contextvars(**log_ids.ids_of(task.request))
    setattr(task.request, _BEFORE, (tokens, time.monotonic()))


def _tell(task: Any, state: str | None = None, **_: Any) -> None:
    tokens, began = getattr(task.request, _BEFORE, ({}, None))
    seconds = None if began is None else round(time.monotonic() - began, 3)
    log.info("task.ended", state=state, seconds=seconds)
    structlog.contextvars.reset_contextvars(**tokens)


def _pass_on(headers: dict[str, Any] | None = None, **_: Any) -> None:
    bound = structlog.contextvars.get_contextvars()
    given = {log_ids.REQUEST_HEADER: current_request_id(), log_ids.RUN_HEADER: bound.get("run", "")}
    for name, value in given.items():
        if headers is not None and value:
            headers.setdefault(name, value)
