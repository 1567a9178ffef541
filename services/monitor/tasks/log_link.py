"""A link from a task to its log lines, where those are gathered (Kibana, Grafana): a template, filled in."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from services.monitor.tasks.tasks import Task

# Other braces stay as they are: LogQL and Kibana's own addresses have them.
PLACE = re.compile(r"\{(\w+)\}")
EXAMPLE = "https://kibana.example.com/app/discover#/?_a=(query:(query:'task_id:{task_id}'))"
MOST_CHARACTERS = 4000
# Clocks of machines differ, and the lines of a task's sender come before the first event of it.
MARGIN = dt.timedelta(minutes=1)
# What tells one task from others; a link without any of these would lead to the lines of all.
OF_ONE_TASK = ("task_id", "root_id", "run", "request_id")
NAMES = (*OF_ONE_TASK, "task", "schedule", "queue", "worker", "start", "end", "start_ms", "end_ms")


def checked_template(template: str) -> str:
    """Returns the template. Raises ValueError for one that can't become a link to the lines of a task."""
    if not template:
        return template
    if len(template) > MOST_CHARACTERS:
        raise ValueError(f"has {len(template)} characters, at most {MOST_CHARACTERS}")
    if not template.isprintable() or " " in template:
        raise ValueError(
            "has blanks or characters that can't be seen; in an address they are percent-encoded"
        )
    address = urlsplit(template)
    if address.scheme not in ("http", "https") or not address.netloc or PLACE.search(address.netloc):
        raise ValueError("is no address that begins with https:// or http:// and a host")
    names = PLACE.findall(template)
    if unknown := [name for name in names if name not in NAMES]:
        raise ValueError(f"has {{{unknown[0]}}}, which is none of {_listed(NAMES)}")
    if not set(names) & set(OF_ONE_TASK):
        raise ValueError(f"has none of {_listed(OF_ONE_TASK)}, so it would lead to the lines of all tasks")
    return template


def link_of(template: str, task: Task, now: dt.datetime) -> str:
    """Returns the template with the task's values, percent-encoded; "" without a template.

    A value that is not known is empty. `start` and `end` have a minute on each side; a task that has not
    ended ends now.
    """
    values = _values(task, now) if template else {}
    return PLACE.sub(lambda place: quote(values[place[1]], safe=""), template)


def _values(task: Task, now: dt.datetime) -> Mapping[str, str]:
    known = [at for at in (task.sent_at, task.received_at, task.started_at, task.heard_at) if at is not None]
    start, end = min(known) - MARGIN, (task.ended_at or now) + MARGIN
    return {
        "task_id": task.id,
        "root_id": task.root_id or task.id,
        "task": task.task,
        "run": task.run,
        "request_id": task.request_id,
        "schedule": task.run.removeprefix("schedules/").partition("/runs/")[0],
        "queue": task.queue,
        "worker": task.worker,
        "start": _text(start),
        "end": _text(end),
        "start_ms": str(int(start.timestamp() * 1000)),
        "end_ms": str(int(end.timestamp() * 1000)),
    }


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
