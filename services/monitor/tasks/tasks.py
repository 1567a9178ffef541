"""Tasks, derived from their events.

Events come late, twice and out of order, from several machines; yet the state of a task must not depend on
their order. So a task is a set of times, the newest of each type of event, and its state is a function of
those times. Taking in an event can only raise a time, so the operation is commutative and idempotent. The
table in the database merges rows by the same rule (`store_tasks.py`, and the generated column `state` of the
migration), so replicas may write the same tasks.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.monitor.tasks.revocations import Revocation

if TYPE_CHECKING:
    from services.monitor.tasks.attempts import Attempt

# Characters of a registered name.
MOST_NAME = 255


class TaskState(enum.StrEnum):
    """Celery's states, and three of tasks that are nowhere, of which no end was told.

    ENDED: it has ended, and how is not known. ORPHANED: its worker is gone. LOST: its message is, with the
    broker's data.
    """

    PENDING = "PENDING"
    RECEIVED = "RECEIVED"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    RETRY = "RETRY"
    REVOKED = "REVOKED"
    REJECTED = "REJECTED"
    ENDED = "ENDED"
    ORPHANED = "ORPHANED"
    LOST = "LOST"

    # Enum's own __hash__ is written in Python and slower; each event causes several look-ups by state.
    __hash__ = str.__hash__

    @property
    def ended(self) -> bool:
        return self in ENDED


# The ends that an event or a stored result tells.
TOLD_ENDS = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVOKED, TaskState.REJECTED})
# Those of tasks that were found nowhere. A task that is heard of again leaves them.
UNTOLD_ENDS = frozenset({TaskState.ENDED, TaskState.ORPHANED, TaskState.LOST})
ENDED = TOLD_ENDS | UNTOLD_ENDS
# Whatever comes, these tasks are not to be run any more; of the others a message may come back.
ENDED_FOR_GOOD = TOLD_ENDS | {TaskState.ENDED}
# The states in which the exception of the last try is shown.
WITH_EXCEPTION = frozenset({TaskState.FAILURE, TaskState.RETRY})
PENDING = TaskState.PENDING

# The time that an event of each type raises.
TIME_OF_TYPE = {
    "task-sent": "sent",
    "task-received": "received",
    "task-started": "started",
    "task-succeeded": "succeeded",
    "task-failed": "failed",
    "task-retried": "retried",
    "task-revoked": "revoked",
    "task-rejected": "rejected",
}

# The state that an event of each type announces.
STATE_OF_TYPE = {
    "task-sent": TaskState.PENDING,
    "task-received": TaskState.RECEIVED,
    "task-started": TaskState.STARTED,
    "task-succeeded": TaskState.SUCCESS,
    "task-failed": TaskState.FAILURE,
    "task-retried": TaskState.RETRY,
    "task-revoked": TaskState.REVOKED,
    "task-rejected": TaskState.REJECTED,
}


@dataclass(frozen=True, slots=True)
class Task:
    """A task at one moment. Empty texts and None: no event contained the value. `runtime` is in seconds."""

    id: str
    task: str
    state: TaskState
    queue: str
    # The hostname and the process id of the worker.
    worker: str
    worker_pid: int | None
    args: str
    kwargs: str
    retries: int
    result: str
    exception: str
    traceback: str
    runtime: float | None
    eta: dt.datetime | None
    expires: dt.datetime | None
    parent_id: str
    root_id: str
    # The name of the scheduler's run that it belongs to.
    run: str
    sent_at: dt.datetime | None
    received_at: dt.datetime | None
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    heard_at: dt.datetime
    updated_at: dt.datetime
    # The class of the exception, without its module, and its message.
    exception_type: str
    exception_message: str
    # What revoked it last, and with which signal its process was killed: as in "SIGTERM".
    revocation: Revocation | None
    termination_signal: str
    # The state that it gave itself in this try, as in "PROGRESS".
    custom_state: str
    # Those before its newest one, the oldest first, where the task was read by its id.
    attempts: Sequence[Attempt] = ()
    # The id of the request that had it sent, if the scheduler or the monitor has sent it.
    request_id: str = ""


def state_of(
    received: int,
    started: int,
    retried: int,
    succeeded: int,
    failed: int,
    revoked: int,
    rejected: int,
    vanished: int = 0,
    custom: int = 0,
    *,
    vanished_as: TaskState = TaskState.ENDED,
) -> TaskState:
    """Returns the state that follows from the newest time of each type of event.

    An end holds until the task is received or started again after it (redelivered, or sent again under its
    id). A retry event after the end belongs to an earlier try, whose worker reported late: it counts only if
    the task was started since the end. The time of sending never matters: it is from another machine's clock.

    `vanished` is the time of the newest event that was known of the task when it was found nowhere any more,
    and `vanished_as` what was thought of it then, one of `UNTOLD_ENDS`.
    A newer event of a worker undoes it, and an end that is told is better than one that is not known.

    A task tells custom states while it is run. So a task of which nothing else is known is being run.
    """
    ended = max(succeeded, failed, revoked, rejected)
    if ended and received <= ended and started <= ended:
        if ended == succeeded:
            return TaskState.SUCCESS
        if ended == failed:
            return TaskState.FAILURE
        return TaskState.REVOKED if ended == revoked else TaskState.REJECTED
    if vanished and vanished >= received and vanished >= started and vanished >= retried:
        return vanished_as
    if retried and retried >= received and retried >= started and (not ended or started > ended):
        return TaskState.RETRY
    if started and started >= received:
        return TaskState.STARTED
    if received:
        return TaskState.RECEIVED
    return TaskState.STARTED if custom else TaskState.PENDING
