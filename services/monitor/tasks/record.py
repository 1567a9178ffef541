"""What is known of one task in memory, as its events tell it.

Times in a `TaskRecord` are whole microseconds since 1970, UTC: exact in Python and in PostgreSQL. 0 means
that no such event has come.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from services.monitor.tasks.attempts import Attempts
from services.monitor.tasks.custom_states import shown_in
from services.monitor.tasks.exceptions import UNKNOWN_TASK, exception_in, name_of_unknown
from services.monitor.tasks.redaction import SEALED
from services.monitor.tasks.revocations import Revocation, revocation_in
from services.monitor.tasks.tasks import (
    PENDING,
    STATE_OF_TYPE,
    TIME_OF_TYPE,
    TOLD_ENDS,
    Task,
    TaskState,
    state_of,
)
from services.monitor.tasks.trying import keep_retried, leave_attempt
from services.monitor.tasks.values import (
    SealedText,
    id_in,
    pid_in,
    request_id_in,
    retries_in,
    run_in,
    seconds_in,
    shared_name,
    shared_task_name,
    text_in,
    time_in,
)

# Celery cuts arguments and results in events at about 1,000 characters; it never cuts tracebacks.
MOST_ARGUMENTS = 2_000
MOST_TRACEBACK = 20_000
# The times of ends.
ENDS = frozenset({"succeeded", "failed", "revoked", "rejected"})


class TaskRecord(Struct, gc=False, eq=False):
    """What is known of one task, updated by each event. Texts are None until an event contains them.

    A struct, as it is made in a fifth of the time, and not among what Python looks through for cycles: of
    what it holds nothing refers to it.
    """

    id: str
    task: str | None = None
    state: TaskState = PENDING
    # Empty: it turned out that the queue that was taken for its own may not be.
    queue: str | None = None
    # The number of the try whose sending told the queue; -1: no event told it.
    queue_retries: int = -1
    worker: str | None = None
    worker_pid: int | None = None
    args: str | None = None
    kwargs: str | None = None
    # Both encrypted, where secrets in them are replaced.
    sealed: SealedText | None = None
    retries: int | None = None
    result: str | None = None
    exception: str | None = None
    exception_type: str | None = None
    exception_message: str | None = None
    traceback: str | None = None
    runtime: float | None = None
    revocation: Revocation | None = None
    termination_signal: str | None = None
    custom_state: str | None = None
    eta: str | None = None
    expires: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    run: str | None = None
    request_id: str | None = None
    sent: int = 0
    received: int = 0
    started: int = 0
    retried: int = 0
    succeeded: int = 0
    failed: int = 0
    revoked: int = 0
    rejected: int = 0
    vanished: int = 0
    custom: int = 0
    # What was thought of it when it was found nowhere: one of UNTOLD_ENDS.
    vanished_as: TaskState = TaskState.ENDED
    # The oldest and the newest time of all its events, and the newest of those that a worker sent.
    heard: int = 0
    updated: int = 0
    worker_at: int = 0
    # The logical clock of the worker's process at the newest of these; 0: not known.
    clock: object = 0
    # Characters of args, kwargs, result, exception, its message and traceback.
    text_size: int = 0
    # Its attempts before the newest one, as far as they are not written; when that of the newest
    # task-retried was received, and the queue of the newest, where that of the next is told already.
    attempts: Attempts | None = None
    tried: int = 0
    tried_queue: str | None = None
    # Used by TaskWriter: since when changes wait to be written (0: none do), and the size of their texts.
    waiting_since: float = 0.0
    waiting_text: int = 0

    def hear(self, event_type: str, at: int, event: Mapping[str, Any]) -> bool:
        """Takes in an event of a type in `TIME_OF_TYPE`, created at `at`. Returns whether it changed anything
        but the time of the oldest event."""
        kind = TIME_OF_TYPE[event_type]
        if at <= self.worker_at and kind != "sent" and self._is_newer(event):
            # An end ends what was begun before it, however short that was; what begins begins after it.
            at = self.worker_at if kind in ENDS else self.worker_at + 1
        if at < self.heard or not self.heard:
            self.heard = at
        if at <= getattr(self, kind):
            return kind == "sent" and self._hear_run(event)
        if kind == "received" and self.received:
            leave_attempt(self)
        setattr(self, kind, at)
        if at > self.updated:
            self.updated = at
        if kind == "sent":
            self._hear_queue(event)
            self._hear_run(event)
            if not self.received:
                self._hear_details(event)
            return True
        newest = at > self.worker_at
        if at >= self.worker_at:
            self.worker_at, self.clock = at, event.get("clock")
            if event.get("hostname") != self.worker or event.get("pid") != self.worker_pid:
                self._hear_worker(event)
        if kind == "received":
            self._hear_details(event)
        elif kind == "succeeded":
            self.result = text_in(event, "result", MOST_ARGUMENTS)
            self.runtime = seconds_in(event, "runtime")
            self._measure()
        elif kind in ("failed", "retried") and at >= self.failed and at >= self.retried:
            self.exception, self.exception_type, self.exception_message = exception_in(event)
            self.traceback = text_in(event, "traceback", MOST_TRACEBACK)
            if self.task is None and self.exception_type == UNKNOWN_TASK and not self.traceback:
                # The worker has no task of that name, and sends no other event of it.
                self.task = name_of_unknown(self.exception_message)
            if kind == "retried":
                keep_retried(self, at)
            self._measure()
        elif kind == "revoked":
            self.revocation, self.termination_signal = revocation_in(event)
        if newest and kind != "retried" and not self.vanished:
            self.state = STATE_OF_TYPE[event_type]  # the result of `state_of` in this case, but faster
        else:
            self.settle()
        return True

    def _is_newer(self, event: Mapping[str, Any]) -> bool:
        """Whether the event is newer than the newest that a worker sent, although its time is not.

        A machine's time may be set back while a worker runs. The logical clock of its process only grows.
        """
        clock, known, hostname = event.get("clock"), self.clock, event.get("hostname")
        return (
            type(clock) is type(known) is int
            and clock > known > 0
            and type(hostname) is str
            and shared_name(hostname) == self.worker
            and self.worker_pid is not None
            and pid_in(event) == self.worker_pid
        )

    def hear_custom(self, custom_state: str, at: int) -> bool:
        """Takes in that the task gave itself a state. Returns whether that is its newest."""
        if at < self.heard or not self.heard:
            self.heard = at
        if at <= self.custom:
            return False
        self.custom, self.custom_state = at, custom_state
        self.updated = max(self.updated, at)
        self.settle()
        return True

    def vanish(self, newest: int, how: TaskState = TaskState.ENDED) -> bool:
        """Takes in that the task was found nowhere, when its newest event was of that time, and what is
        thought of that: one of UNTOLD_ENDS. Returns whether that changed anything."""
        # Of two words for one state of things, that which is later in the alphabet counts: so it does not
        # matter which came first.
        if (newest, how.value) <= (self.vanished, self.vanished_as.value if self.vanished else ""):
            return False
        self.vanished, self.vanished_as = newest, how
        if newest < self.heard or not self.heard:
            self.heard = newest
        self.updated = max(self.updated, newest)
        self.settle()
        return True

    @property
    def shown_custom_state(self) -> str:
        of_this_try = self.custom >= self.received
        return (self.custom_state or "") if shown_in(self.state, of_this_try=of_this_try) else ""

    def settle(self) -> None:
        """Derives the state from the times."""
        self.state = state_of(
            self.received,
            self.started,
            self.retried,
            self.succeeded,
            self.failed,
            self.revoked,
            self.rejected,
            self.vanished,
            self.custom,
            vanished_as=self.vanished_as,
        )

    def _hear_queue(self, event: Mapping[str, Any]) -> None:
        queue = event.get("queue")
        if type(queue) is str and queue:
            retries = retries_in(event) or 0
            if self.received and retries > (self.retries or 0):
                self.tried_queue = self.queue
            self.queue, self.queue_retries = shared_name(queue), retries

    def take_queue(self, consumed: frozenset[str]) -> None:
        """Takes in which queues the worker consumes that has just received the task.

        What told the queue when this try was sent is believed. Otherwise it is the worker's only queue; it is
        not known if the worker has several, and not the one that was told for an earlier try.
        """
        if self.queue_retries < (self.retries or 0) and self.queue not in consumed:
            (only,) = consumed if len(consumed) == 1 else ("" if self.queue is not None else None,)
            self.queue, self.queue_retries = only, -1

    def doubt_queue(self) -> bool:
        """Takes in that the worker may have had other queues. Returns whether the queue is not known now."""
        if self.queue_retries >= 0 or not self.queue:
            return False
        self.queue = ""
        return True

    def _hear_run(self, event: Mapping[str, Any]) -> bool:
        """Returns whether this event was the first to tell the run, or the request that had it sent.

        Only our own event tells them, which is not the newest if a worker has sent the task again for a
        retry. A task has no more than one run, and comes of no more than one request.
        """
        if "run" not in event:
            return False
        before = self.run, self.request_id
        self.run, self.request_id = self.run or run_in(event), self.request_id or request_id_in(event)
        return (self.run, self.request_id) != before

    def _hear_worker(self, event: Mapping[str, Any]) -> None:
        hostname = event.get("hostname")
        if type(hostname) is str and hostname:
            self.worker, self.worker_pid = shared_name(hostname), pid_in(event)

    def _hear_details(self, event: Mapping[str, Any]) -> None:
        get = event.get
        # What task-sent has told is told again by task-received.
        name = get("name")
        if name != self.task and type(name) is str and name:
            self.task = shared_task_name(name)
        if get("args") != self.args or get("kwargs") != self.kwargs or SEALED in event:
            self.args = text_in(event, "args", MOST_ARGUMENTS) or self.args
            self.kwargs = text_in(event, "kwargs", MOST_ARGUMENTS) or self.kwargs
            sealed = get(SEALED)
            self.sealed = sealed if type(sealed) is SealedText else None
            self._measure()
        # A later try may have none although an earlier one had.
        eta, expires = get("eta"), get("expires")
        self.eta = None if eta is None else text_in(event, "eta", 64)
        self.expires = None if expires is None else text_in(event, "expires", 64)
        parent, root = get("parent_id"), get("root_id")
        # A task that calls itself again for a retry, and has no parent, is named as its own by Celery.
        if parent is not None and parent != self.id:
            self.parent_id = id_in(event, "parent_id") or self.parent_id
        if root == self.id:
            self.root_id = self.id  # as of most tasks; one text for both
        elif root is not None:
            self.root_id = id_in(event, "root_id") or self.root_id
        if get("retries") != self.retries:
            retries = retries_in(event)
            self.retries = self.retries if retries is None else retries

    def _measure(self) -> None:
        size = len(self.args or "") + len(self.kwargs or "") + len(self.result or "")
        if self.sealed:
            size += len(self.sealed)
        if self.exception:
            size += len(self.exception) + len(self.exception_message or "") + len(self.traceback or "")
        self.text_size = size

    def forget_texts(self) -> None:
        """Drops the texts, to free memory."""
        self.args = self.kwargs = self.result = self.sealed = None
        self.exception = self.exception_type = self.exception_message = self.traceback = None
        self.text_size = 0

    def seconds_run(self) -> float | None:
        """Returns the runtime of the last try in seconds; None if it is not known.

        It is the runtime that the worker measured, or else the time from the start to the end.
        """
        if self.runtime is not None and self.succeeded >= self.failed:
            return self.runtime
        ended = max(self.succeeded, self.failed)
        return (ended - self.started) / 1e6 if ended > self.started > 0 else None

    def seconds_held(self) -> float:
        """Returns for how many seconds its worker had this try before it started it: from its `eta`, if that
        was later than its receipt. Both of its events must have come."""
        seconds = (self.started - self.received) / 1e6
        if self.eta is not None and (eta := time_in(self.eta)) is not None:
            seconds = min(seconds, self.started / 1e6 - eta.timestamp())
        return seconds if seconds > 0.0 else 0.0

    def task_now(self) -> Task:
        """Returns what is known now, as an immutable task."""
        ended = max(self.succeeded, self.failed, self.revoked, self.rejected)
        return Task(
            self.id,
            self.task or "",
            self.state,
            self.queue or "",
            self.worker or "",
            self.worker_pid,
            self.args or "",
            self.kwargs or "",
            self.retries or 0,
            self.result or "",
            self.exception or "",
            self.traceback or "",
            self.runtime,
            time_in(self.eta),
            time_in(self.expires),
            self.parent_id or "",
            self.root_id or "",
            self.run or "",
            moment(self.sent),
            moment(self.received),
            moment(self.started),
            moment(ended) if self.state in TOLD_ENDS else None,
            dt.datetime.fromtimestamp(self.heard / 1e6, dt.UTC),
            dt.datetime.fromtimestamp(self.updated / 1e6, dt.UTC),
            self.exception_type or "",
            self.exception_message or "",
            self.revocation,
            self.termination_signal or "",
            self.shown_custom_state,
            request_id=self.request_id or "",
        )


def moment(microseconds: int) -> dt.datetime | None:
    # Exact: a double resolves today's times to a quarter of a microsecond, and fromtimestamp() rounds.
    return dt.datetime.fromtimestamp(microseconds / 1e6, dt.UTC) if microseconds else None
