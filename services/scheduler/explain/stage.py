"""How far the task of a run is, after its message was sent: by the run's record and by the monitor. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from services.scheduler.explain import steps_of_tasks as steps
from services.scheduler.explain.steps import SEND_AGAIN_AT_ALL
from services.scheduler.explain.words import moment, seconds
from services.scheduler.runs.monitor_client import Heard, PauseSeen, QueueSeen, WorkerSeen
from services.scheduler.schedule.definition import Run

# The most workers that a sentence names.
MOST_NAMED = 3


class Stage(Enum):
    QUEUED = "queued"
    RECEIVED = "received"
    STARTED = "started"
    RETRYING = "retrying"
    SUCCEEDED = "SUCCESS"
    FAILED = "FAILURE"
    REVOKED = "REVOKED"
    REJECTED = "REJECTED"
    ENDED = "ENDED"
    ORPHANED = "ORPHANED"
    UNHEARD = "unheard"


GOING = {"RECEIVED": Stage.RECEIVED, "STARTED": Stage.STARTED, "RETRY": Stage.RETRYING}


class QueueSituation(NamedTuple):
    """A queue, and the workers that consume it."""

    name: str
    # None: the broker has no such queue, or it is not known.
    seen: QueueSeen | None
    online: Sequence[WorkerSeen]
    # Those that consumed it, and are SILENT or GONE.
    away: Sequence[WorkerSeen]
    # How many workers are ONLINE that have not yet told which queues they consume.
    untold: int


class Known(NamedTuple):
    """What the monitor tells. `fault`: why it tells nothing, or not all; empty if it tells all."""

    tasks: dict[str, Heard]
    queues: dict[str, QueueSituation]
    workers: dict[str, WorkerSeen]
    fault: str = ""
    # Whether runs are sent at all: while they are not, workers may have been told to consume nothing.
    sends: bool = True


class Progress(NamedTuple):
    """`text` is sentences; `next_step` too, empty where nothing is to be done."""

    stage: Stage
    text: str
    worker: str = ""
    next_step: str = ""


def situation_of(name: str, queues: Sequence[QueueSeen], workers: Sequence[WorkerSeen]) -> QueueSituation:
    consuming = [worker for worker in workers if name in worker.queues]
    return QueueSituation(
        name,
        next((queue for queue in queues if queue.name == name), None),
        [worker for worker in consuming if worker.online],
        [worker for worker in consuming if not worker.online],
        sum(worker.online and not worker.queues for worker in workers),
    )


def ended_as_heard(run: Run, heard: Heard | None) -> Run:
    """Returns the run with the end that the monitor tells, where the scheduler has not recorded it yet."""
    if run.outcome is not None or heard is None or not heard.ended:
        return run
    return run._replace(
        outcome=heard.state, runtime=heard.runtime, error=heard.error, ended_at=heard.ended_at
    )


def progress_of(run: Run, queue: str, known: Known) -> Progress:
    """Says how far the task of a published run is."""
    heard = known.tasks.get(run.task_id)
    run = ended_as_heard(run, heard)
    if run.outcome is not None:
        return _ended(run, heard)
    if heard is not None and heard.state in GOING:
        return _going(heard, known)
    if heard is not None and heard.state == "LOST":
        text = f"Its message is lost with the broker's data ({heard.note})."
        return Progress(Stage.UNHEARD, text, next_step=steps.AWAIT_LOSS)
    if known.fault:
        text = f"What became of its message is not known, as the monitor did not tell: {known.fault}."
        return Progress(Stage.UNHEARD, text, next_step=steps.START_MONITOR)
    return _queued(known.queues[queue], known.sends)


def _ended(run: Run, heard: Heard | None) -> Progress:
    stage, worker = Stage(run.outcome), heard.worker.removeprefix("workers/") if heard else ""
    at = f" at {moment(run.ended_at)}" if run.ended_at else ""
    on = f" on {worker}" if worker else ""
    took = f" after {seconds(run.runtime)}" if run.runtime is not None else ""
    note = heard.note if heard else ""
    if stage is Stage.SUCCEEDED:
        return Progress(stage, f"The task succeeded{at}{on}{took}.", worker)
    if stage is Stage.FAILED:
        text = f"The task failed{at}{on}{took}: {run.error or 'no exception was told'}."
        return Progress(stage, text, worker, steps.look_at_failure(run))
    if stage is Stage.REVOKED and note == "EXPIRED":
        text = "The task was not run: its time (task.expires) had passed when a worker came to it."
        return Progress(stage, text, worker, steps.expire_later(run))
    if stage is Stage.REVOKED:
        how = "terminated while it ran" if note == "TERMINATED" else "revoked"
        return Progress(stage, f"The task was {how}{at}{on}.", worker, steps.who_revoked(run))
    if stage is Stage.REJECTED:
        text = f"The task, or its worker, rejected the message{at}{on}."
        return Progress(stage, text, worker, steps.look_at_task(run))
    if stage is Stage.ORPHANED:
        text = f"The worker that had the task is gone{on}, and nobody has the task any more. {note}".strip()
        return Progress(stage, text, worker, steps.run_again(run))
    return Progress(stage, f"The task has ended{on}; how is not known.", worker, steps.look_at_task(run))


def _going(heard: Heard, known: Known) -> Progress:
    stage, name = GOING[heard.state], heard.worker.removeprefix("workers/")
    words = {
        Stage.RECEIVED: f"{name} has received the task, and not begun it",
        Stage.STARTED: f"{name} runs the task",
        Stage.RETRYING: f"The task failed on {name}, and will be tried again",
    }
    text = f"{words[stage]}, since {moment(heard.updated_at)}."
    worker = known.workers.get(name)
    if worker is not None and not worker.online:
        text += f" That worker is {worker.state}: it was last heard at {moment(worker.seen_at)}."
        return Progress(stage, text, name, steps.START_WORKER_AGAIN)
    if stage is Stage.RECEIVED:
        return Progress(stage, text, name, steps.BUSY)
    if stage is Stage.RETRYING:
        return Progress(stage, text, name, steps.look_at(heard.task_id))
    return Progress(stage, text, name)


def _queued(queue: QueueSituation, sends: bool) -> Progress:
    """No worker was heard to have received it."""
    length = queue.seen.length if queue.seen else 0
    waiting = f"{length} {'message waits' if length == 1 else 'messages wait'} there."
    if queue.seen is not None and queue.seen.pause is not None:
        text = f"The queue {queue.name!r} is paused, {_paused(queue.seen.pause)}: {waiting}{_still(queue)}"
        stage = Stage.QUEUED if length else Stage.UNHEARD
        return Progress(stage, text, next_step=steps.resume_queue(queue.name))
    if not queue.online:
        text = f"No worker consumes the queue {queue.name!r}: {waiting}{_away(queue)}{_untold(queue)}"
        stage = Stage.QUEUED if length else Stage.UNHEARD
        if not sends:
            text += " No run is sent now either (scheduler.sends_runs is false): a drain or a shutdown, which"
            text += " have workers consume nothing, may hold."
            return Progress(stage, text, next_step=SEND_AGAIN_AT_ALL)
        if not length and not queue.away and not queue.untold:
            text = (
                f"No worker consumes the queue {queue.name!r}, its message is not there any more, and no"
                " event of the task was heard: either somebody has purged the queue, or a worker that sends"
                " no events has taken it."
            )
            return Progress(stage, text, next_step=steps.who_purged(queue.name))
        return Progress(stage, text, next_step=steps.consume(queue.name))
    names = _named(queue.online)
    if length:
        text = f"Its message waits on the queue {queue.name!r}, consumed by {names}: {waiting}"
        return Progress(Stage.QUEUED, text, next_step=steps.BUSY)
    text = (
        f"The queue {queue.name!r} is empty, consumed by {names}, and no event of the task was heard:"
        " either a worker has just taken it, or the worker that took it sends no events, or somebody has"
        " purged the queue."
    )
    return Progress(Stage.UNHEARD, text, next_step=steps.SEND_EVENTS)


def _paused(pause: PauseSeen) -> str:
    reason = f" ({pause.reason!r})" if pause.reason else ""
    return f"by {pause.by} at {moment(pause.since)}{reason}"


def _still(queue: QueueSituation) -> str:
    """Of a pause that not all workers have been told, or that one was told against."""
    return f" All the same, it is consumed by {_named(queue.online)}." if queue.online else ""


def _away(queue: QueueSituation) -> str:
    if not queue.away:
        return ""
    last = max(queue.away, key=lambda worker: worker.seen_at)
    return f" {last.name} consumed it, and is {last.state}: it was last heard at {moment(last.seen_at)}."


def _untold(queue: QueueSituation) -> str:
    if not queue.untold:
        return ""
    return f" Of {queue.untold} workers that are ONLINE it is not known which queues they consume."


def _named(workers: Sequence[WorkerSeen]) -> str:
    names = [worker.name for worker in workers[:MOST_NAMED]]
    if len(workers) > MOST_NAMED:
        names.append(f"{len(workers) - MOST_NAMED} more")
    return ", ".join(names)
