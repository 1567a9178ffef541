"""Reads the requests that send tasks, and tells everything that is wrong with them."""

from __future__ import annotations

import datetime as dt

from celeriac.monitor.v1 import tasks_pb2 as pb

from services.kernel.durations import span_in
from services.kernel.grpc.wire import moment_in
from services.kernel.stored_values import Unreadable
from services.kernel.validation import Faults
from services.monitor.api import references
from services.monitor.sending.runs import TaskToRun
from services.monitor.tasks.tasks import MOST_NAME

MOST_ARGUMENTS = 262_144
MOST_PRIORITY = 9
MOST_COUNTDOWN = dt.timedelta(days=366)
NO_TIME = dt.timedelta(0)
QUEUE = "celery"


def queue_in(name: str, faults: Faults) -> str:
    """Returns the queue in "queues/{name}"; empty if the field is not set."""
    return references.checked_queue(name, "queue", faults) if name else ""


def priority_in(priority: int, faults: Faults) -> int:
    fault = f"is {priority}, it must be 0 (first) to {MOST_PRIORITY}"
    faults.unless(0 <= priority <= MOST_PRIORITY, "priority", fault, "0")
    return priority


def task_to_run_in(request: pb.RunTaskRequest, now: dt.datetime, faults: Faults) -> TaskToRun:
    """Returns the task to run. `faults` then has everything that is wrong with it."""
    faults.text("task_name", request.task_name, "shop.report", most=MOST_NAME)
    for field, example in (("args_json", "[1, 2]"), ("kwargs_json", '{"to": "mei"}')):
        faults.text(field, getattr(request, field), example, most=MOST_ARGUMENTS, required=False)
    eta, expires = _eta_in(request, now, faults), moment_in(request, "expires", faults)
    if expires is not None:
        earliest = max(now, eta or now)
        fault = f"is {expires.isoformat()}, which is not after {earliest.isoformat()}, when it may be run"
        example = (earliest + dt.timedelta(hours=1)).isoformat()
        faults.unless(expires > earliest, "expires", fault, example)
    task = TaskToRun(
        request.task_name,
        request.args_json or "[]",
        request.kwargs_json or "{}",
        queue_in(request.queue, faults) or QUEUE,
        priority_in(request.priority, faults),
        eta,
        expires,
    )
    if not faults:
        try:
            task.message("checked", now)
        except Unreadable as error:
            field, _, fault = str(error).partition(" ")
            faults.add(field, fault, "[1, 2]" if field == "args_json" else '{"to": "mei"}')
    return task


def _eta_in(request: pb.RunTaskRequest, now: dt.datetime, faults: Faults) -> dt.datetime | None:
    eta = moment_in(request, "eta", faults)
    if not request.HasField("countdown"):
        return eta
    if request.HasField("eta"):
        faults.add("countdown", "is set, and eta is, too; set one of them", "countdown: 60s")
        return eta
    countdown = span_in(request, "countdown", faults, example="60s")
    if countdown is None:
        return None
    fault = f"is {countdown.total_seconds()} s, it must be more than 0 and at most 366 days"
    faults.unless(NO_TIME < countdown <= MOST_COUNTDOWN, "countdown", fault, "60s")
    return now + min(countdown, MOST_COUNTDOWN)
