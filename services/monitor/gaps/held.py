"""Which tasks workers have, by their own word: waiting for their time, prefetched, or being run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.monitor.tasks.names import WorkerName, cut, fits
from services.monitor.workers.control import Control

# In the order in which a task goes through them, so that none is missed on its way.
COMMANDS = ("scheduled", "reserved", "active")
MOST_NAMED = 5


@dataclass(frozen=True)
class HeldTask:
    """A task that a worker has. `started`: when it began to run it, in seconds since 1970; None: it waits."""

    id: str
    worker: WorkerName
    started: float | None
    event: Mapping[str, Any]


@dataclass
class HeldTasks:
    """What workers have, by the task's id. `silent`: those of which it is not known what they have."""

    tasks: dict[str, HeldTask] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    @property
    def silence(self) -> str:
        """Says who did not answer; empty if everybody did."""
        named = ", ".join(sorted(self.silent)[:MOST_NAMED])
        more = f" and {len(self.silent) - MOST_NAMED} more" if len(self.silent) > MOST_NAMED else ""
        return f"no answer from {named}{more}" if self.silent else ""


async def held_tasks(control: Control, workers: Sequence[WorkerName]) -> HeldTasks:
    """Asks the workers, which are all that are there. Raises `Unavailable` if the broker is away."""
    held = HeldTasks()
    if not workers:
        return held
    asked = Counter(worker.hostname for worker in workers)
    by_hostname = {worker.hostname: worker for worker in workers if asked[worker.hostname] == 1}
    for command in COMMANDS:
        # Who has not answered is not waited for again.
        answering = [worker for worker in workers if worker.hostname not in held.silent]
        if not answering:
            break
        answers = await control.ask(command, {"safe": True} if command == "active" else None, answering)
        for hostname, count in asked.items():
            said = [each for each in answers.get(hostname, ()) if isinstance(each, list)]
            if len(said) < count:
                held.silent.add(hostname)
            worker = by_hostname.get(hostname, WorkerName(cut(hostname)))
            for task in (task for each in said for task in _tasks_in(command, each, worker)):
                held.tasks[task.id] = task
    return held


def _tasks_in(command: str, said: Sequence[Any], worker: WorkerName) -> Iterator[HeldTask]:
    """Anything may answer in a worker's place: what has not the form of an answer is passed over."""
    for entry in said:
        told = entry.get("request") if command == "scheduled" and isinstance(entry, Mapping) else entry
        if not isinstance(told, Mapping):
            continue
        task_id, started = told.get("id"), told.get("time_start")
        if isinstance(task_id, str) and task_id and fits(task_id):
            runs = command == "active" and isinstance(started, float) and 0 < started < 1e11
            yield HeldTask(task_id, worker, started if runs else None, _event(told, worker))


def _event(told: Mapping[str, Any], worker: WorkerName) -> Mapping[str, Any]:
    """Returns what an event of the task would tell."""
    delivery = told.get("delivery_info")
    return {
        "name": told.get("name"),
        "args": _text(told.get("args")),
        "kwargs": _text(told.get("kwargs")),
        "queue": delivery.get("routing_key") if isinstance(delivery, Mapping) else None,
        "hostname": worker.hostname,
        "pid": worker.pid,
    }


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else repr(value)).replace("\0", "�")
