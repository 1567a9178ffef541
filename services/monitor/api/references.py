"""Reads the resource names in requests, and the filters that lists and watches have in common.

Ids of tasks, names of queues and hostnames are the application's: any text of up to 1,024 bytes, but for NUL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

from celeriac.monitor.v1 import monitoring_pb2, queues_pb2, tasks_pb2

from services.kernel.broker_layout import not_a_queue
from services.kernel.validation import Faults
from services.monitor.api.convert import STATES_FROM_WIRE
from services.monitor.tasks.exceptions import MOST_TYPE
from services.monitor.tasks.names import MOST_BYTES, WorkerName
from services.monitor.tasks.tasks import MOST_NAME, TaskState
from services.monitor.workers.worker import WorkerState
from services.monitor.workers.workers import WorkerTable

TASK, QUEUE, WORKER = (
    "tasks/6f0e6fcd-0a5e-4d2f-8d0b-7f9c24e8b1aa",
    "queues/ai_analysis",
    "workers/celery@host~4711",
)
EXCEPTION_TYPE = "TimeLimitExceeded"
MOST_VALUES = 100
# "~" and a process id, which has at most 19 digits, as it is written.
PROCESS = re.compile(r"(?s)(.+)~(0|[1-9][0-9]{0,18})")
MOST_PROCESS_BYTES = 20

Value = TypeVar("Value")


class NamesWorkers(Protocol):
    """A request with a filter by workers, or for an act on them."""

    @property
    def workers(self) -> Sequence[str]: ...


Filtered: TypeAlias = tasks_pb2.ListTasksRequest | tasks_pb2.TaskFilter | monitoring_pb2.WatchEventsRequest


def task_id_in(name: str) -> str:
    """Returns the id in "tasks/{id}". Raises `Invalid` if the name has another form."""
    faults = Faults()
    task_id = checked_task_id(name, "name", faults)
    faults.raise_any()
    return task_id


def checked_task_id(name: str, field: str, faults: Faults) -> str:
    return _checked_id(name, field, faults, TASK)


def checked_queue(name: str, field: str, faults: Faults) -> str:
    return _checked_id(name, field, faults, QUEUE)


def checked_purge(name: str, field: str, faults: Faults, example: str) -> str:
    return _checked_id(name, field, faults, example, most=64)


def tasks_in(request: queues_pb2.MoveMessagesRequest, faults: Faults) -> list[str]:
    def check(name: str, field: str) -> str:
        return checked_task_id(name, field, faults)

    return _each("tasks", request.tasks, faults, TASK, check)


def optional_task_id_in(name: str, field: str, faults: Faults) -> str:
    """Returns the id in "tasks/{id}"; empty if the field is not set."""
    return checked_task_id(name, field, faults) if name else ""


def worker_in(name: str, workers: WorkerTable) -> WorkerName:
    """Returns the worker in "workers/{hostname}~{pid}" or "workers/{hostname}". Raises `Invalid`."""
    faults = Faults()
    worker = _checked_worker(name, "name", faults, workers)
    faults.raise_any()
    return worker


def states_in(request: Filtered, faults: Faults) -> list[TaskState]:
    for position, state in enumerate(request.states):
        fault = f"is {state}, not a TaskState"
        faults.unless(state in STATES_FROM_WIRE, f"states[{position}]", fault, "TASK_STATE_FAILURE")
    return [STATES_FROM_WIRE[state] for state in request.states if state in STATES_FROM_WIRE]


def task_names_in(request: Filtered | queues_pb2.MoveMessagesRequest, faults: Faults) -> list[str]:
    def check(name: str, field: str) -> str:
        faults.text(field, name, "rebuild_chat_vectors", most=MOST_NAME)
        return name

    return _each("task_names", request.task_names, faults, "rebuild_chat_vectors", check)


def queues_in(request: Filtered, faults: Faults) -> list[str]:
    def check(name: str, field: str) -> str:
        return _checked_id(name, field, faults, QUEUE)

    return _each("queues", request.queues, faults, QUEUE, check)


def queue_in(name: str, field: str, faults: Faults) -> str:
    """Returns the queue's name in "queues/{name}"."""
    return _checked_id(name, field, faults, QUEUE)


def used_queue_in(name: str, field: str, faults: Faults) -> str:
    """The same, of a queue that messages are to be sent to, or that a worker is to consume."""
    queue = queue_in(name, field, faults)
    what = not_a_queue(queue)
    faults.unless(not what, field, f"is {name[:100]!r}, the name of {what}", QUEUE)
    return queue


def workers_in(request: NamesWorkers, faults: Faults, workers: WorkerTable) -> list[WorkerName]:
    def check(name: str, field: str) -> WorkerName:
        return _checked_worker(name, field, faults, workers)

    return _each("workers", request.workers, faults, WORKER, check)


def exception_types_in(
    request: tasks_pb2.ListTasksRequest | tasks_pb2.TaskFilter, faults: Faults
) -> list[str]:
    def check(name: str, field: str) -> str:
        if faults.text(field, name, EXCEPTION_TYPE, most=MOST_TYPE):
            fault = f"is {name[:100]!r}, which is not the name of a class without its module"
            faults.unless(name.isidentifier(), field, fault, EXCEPTION_TYPE)
        return name

    return _each("exception_types", request.exception_types, faults, EXCEPTION_TYPE, check)


def _each(
    field: str, names: Sequence[str], faults: Faults, example: str, check: Callable[[str, str], Value]
) -> list[Value]:
    fault = f"has {len(names)} values, at most {MOST_VALUES} are allowed"
    if not faults.unless(len(names) <= MOST_VALUES, field, fault, example):
        return []
    return [check(name, f"{field}[{position}]") for position, name in enumerate(names)]


def _checked_id(name: str, field: str, faults: Faults, example: str, most: int = MOST_BYTES) -> str:
    """Returns what follows "tasks/", "queues/" or "workers/", as the example has it."""
    collection = example.partition("/")[0]
    identity = name.removeprefix(f"{collection}/")
    size = len(identity.encode())
    if not name:
        faults.add(field, "is empty", example)
    elif identity == name or not identity:
        faults.add(field, f"is {name[:100]!r}, which does not have the form {collection}/{{id}}", example)
    elif size > most:
        faults.add(field, f"has an id of {size} bytes, at most {most} are allowed", example)
    elif "\0" in identity:
        faults.add(field, "has a NUL character", example)
    return identity


def _checked_worker(name: str, field: str, faults: Faults, workers: WorkerTable) -> WorkerName:
    identity = _checked_id(name, field, faults, WORKER, MOST_BYTES + MOST_PROCESS_BYTES)
    process = PROCESS.fullmatch(identity)
    if process and int(process[2]) < 2**63:
        worker = WorkerName(process[1], int(process[2]))
        # A hostname may itself look like one with a process id.
        if workers.find(worker) or not workers.find(WorkerName(identity)):
            return worker
    worker = WorkerName(identity)
    there = [found.name for found in workers.find(worker) if found.state is not WorkerState.GONE]
    if len(there) > 1:
        candidates = sorted(f"workers/{each}" for each in there)
        fault = f"is {name[:100]!r}, which stands for {len(there)} workers: {', '.join(candidates[:10])}"
        faults.add(field, fault, candidates[0])
    return worker
