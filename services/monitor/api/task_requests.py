"""Reads the requests about tasks, and tells everything that is wrong with them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from celeriac.monitor.v1 import tasks_pb2 as pb

from services.kernel.durations import span_in
from services.kernel.grpc.wire import moment_in, window_in
from services.kernel.identity import Role, current_identity
from services.kernel.stored_values import Unreadable
from services.kernel.validation import Faults
from services.monitor.api import references
from services.monitor.sending.runs import TaskToRun
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.tasks import ENDED_FOR_GOOD, MOST_NAME, TaskState
from services.monitor.workers.control import SIGNALS
from services.monitor.workers.workers import WorkerTable

MOST_ARGUMENTS = 262_144
MOST_PRIORITY = 9
MOST_COUNTDOWN = dt.timedelta(days=366)
MOST_LIFE = dt.timedelta(days=3660)
NO_TIME = dt.timedelta(0)
QUEUE = "celery"
RATE, LEAST_RATE, MOST_RATE = 10.0, 0.1, 1000.0
# The states of an act on many that names none.
RETRIED_STATES = (TaskState.FAILURE, TaskState.ORPHANED, TaskState.LOST)
FAILED_STATES = (TaskState.FAILURE,)
# The time of which failures are counted, where the caller names no other.
FAILURES_OF = dt.timedelta(days=1)
REVOCABLE_STATES = tuple(state for state in TaskState if state not in ENDED_FOR_GOOD)


def filter_in(
    message: pb.ListTasksRequest | pb.TaskFilter, faults: Faults, workers: WorkerTable, readers: Role
) -> TaskFilter:
    """Returns which tasks are asked for. `readers`: the least role that reads arguments and results."""
    states = references.states_in(message, faults)
    task_names = references.task_names_in(message, faults)
    queues = references.queues_in(message, faults)
    of_workers = references.workers_in(message, faults, workers)
    exception_types = references.exception_types_in(message, faults)
    root = references.optional_task_id_in(message.root, "root", faults)
    parent = references.optional_task_id_in(message.parent, "parent", faults)
    faults.text("text", message.text, "TimeoutError", most=200, required=False)
    start, end = window_in(message, faults)
    return TaskFilter(
        states=states,
        tasks=task_names,
        queues=queues,
        workers=of_workers,
        exception_types=exception_types,
        root=root,
        parent=parent,
        text=message.text,
        only_exceptions=not _reads_arguments(readers),
        start=start,
        end=end,
    )


def filter_of_many_in(
    message: pb.TaskFilter,
    states: Sequence[TaskState],
    faults: Faults,
    workers: WorkerTable,
    readers: Role,
) -> TaskFilter:
    """The same for the field `filter`; `states` if it names none."""
    within = Faults()
    wanted = filter_in(message, within, workers, readers)
    for each in within:
        faults.add(f"filter.{each.field}", each.fault, each.example)
    return wanted if wanted.states else dataclasses.replace(wanted, states=states)


def still_to_run(wanted: TaskFilter, faults: Faults) -> TaskFilter:
    """Returns the filter without the states of tasks that have ended; these alone are a fault."""
    states = [state for state in wanted.states if state not in ENDED_FOR_GOOD]
    fault = "has only states in which a task has ended, and can't be revoked"
    faults.unless(bool(states), "filter.states", fault, "TASK_STATE_PENDING")
    return dataclasses.replace(wanted, states=states)


def failures_of_a_day(wanted: TaskFilter, faults: Faults) -> TaskFilter:
    """Returns the filter with a start; other states than FAILURE are a fault."""
    fault = "has states in which a task has not failed"
    faults.unless(set(wanted.states) == set(FAILED_STATES), "filter.states", fault, "TASK_STATE_FAILURE")
    if wanted.start is not None:
        return wanted
    return dataclasses.replace(wanted, start=(wanted.end or dt.datetime.now(dt.UTC)) - FAILURES_OF)


def _reads_arguments(least: Role) -> bool:
    """Whether the caller may read arguments and results: to search in them is to read them."""
    identity = current_identity()
    return identity is not None and (identity.role is Role.SERVICE or identity.role.reaches(least))


def signal_in(request: pb.RevokeTaskRequest | pb.RevokeTasksRequest, faults: Faults) -> str:
    """Returns the signal to terminate with, one of `SIGNALS`."""
    if request.signal:
        fault = f"is {request.signal[:100]!r}, not one of {', '.join(SIGNALS)}"
        faults.unless(request.signal in SIGNALS, "signal", fault, "SIGTERM")
        faults.unless(request.terminate, "signal", "is set, and terminate is not", "terminate: true")
    return request.signal or SIGNALS[0]


def rate_in(rate: float, faults: Faults) -> float:
    """Returns the messages a second; RATE if the field is not set."""
    fault = f"is {rate}, it must be {LEAST_RATE} to {MOST_RATE:.0f}"
    faults.unless(rate == 0 or LEAST_RATE <= rate <= MOST_RATE, "rate", fault, "10")
    return rate or RATE


def expected_in(request: pb.RetryTasksRequest | pb.RevokeTasksRequest, faults: Faults) -> int:
    """Returns how many tasks the caller expects to match, at most."""
    if request.HasField("expected_count"):
        fault = f"is {request.expected_count}, it must be 0 or more"
        faults.unless(request.expected_count >= 0, "expected_count", fault, "250")
    elif not request.validate_only:
        fault = "is not set; send validate_only, look at matched_count, and send that"
        faults.add("expected_count", fault, "250")
    return request.expected_count


def queue_in(name: str, faults: Faults, field: str = "queue") -> str:
    """Returns the queue in "queues/{name}"; empty if the field is not set."""
    return references.used_queue_in(name, field, faults) if name else ""


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
        example = (earliest + dt.timedelta(hours=1)).isoformat()
        fault = f"is {expires.isoformat()}, which is not after {earliest.isoformat()}, when it may be run"
        if faults.unless(expires > earliest, "expires", fault, example):
            fault = f"is {expires.isoformat()}, more than {MOST_LIFE.days} days from now"
            faults.unless(expires - now <= MOST_LIFE, "expires", fault, example)
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
    if eta is not None:
        # Workers compute with it in their own zones: at the ends of the calendar they fail.
        fault = f"is {eta.isoformat()}, it must be at most {MOST_COUNTDOWN.days} days from now"
        example = (now + dt.timedelta(hours=1)).isoformat()
        eta = eta if faults.unless(abs(eta - now) <= MOST_COUNTDOWN, "eta", fault, example) else None
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
