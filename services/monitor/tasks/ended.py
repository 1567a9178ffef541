"""Tasks that have ended and are written, each in about 280 bytes: a third of what a `TaskRecord` takes.

What is kept is what a later event needs: the times, which tell whether it is a new one, and what figures and
readers are told of it. All else is in the database.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState

# The number of what it shares, and: sent, received, started, retried, succeeded, failed, heard, runtime,
# clock.
_PACKED = struct.Struct("<I7qdq")
_RECEIVED = struct.Struct("<I8xq")
MOST_SHARED = 20_000
MOST_CLOCK = 2**63
# Those of tasks that have ended as most do.
KEPT_STATES = frozenset({TaskState.SUCCESS, TaskState.FAILURE})


class Shared(NamedTuple):
    """What many tasks have in common, as `TaskRecord` has it. `own_root`: it is its own root."""

    task: str | None
    queue: str | None
    queue_retries: int
    worker: str | None
    worker_pid: int | None
    retries: int | None
    state: TaskState
    own_root: bool


class Kin(NamedTuple):
    packed: bytes
    parent_id: str | None
    root_id: str | None
    run: str | None
    request_id: str | None


# Most tasks belong to no other task, to no run and to no request.
Kept: TypeAlias = bytes | Kin


class EndedTasks:
    """Tasks by their ids, in the order in which they were kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        # May also contain tasks that are kept no longer. It is beside the dict, whose first key takes long to
        # find.
        self._oldest: deque[str] = deque()
        self._shared: list[Shared] = []
        self._numbers: dict[tuple[Any, ...], int] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, record: TaskRecord) -> bool:
        """Keeps a task that has ended and whose texts are forgotten. Returns whether it could.

        One that has gone another way than most is left as it is.
        """
        sent, retried, succeeded, failed = record.sent, record.retried, record.succeeded, record.failed
        newest, task_id = record.worker_at, record.id
        if (
            record.state not in KEPT_STATES
            or record.vanished
            or record.revoked
            or record.rejected
            or record.custom
            or record.eta is not None
            or record.expires is not None
            # An attempt whose end may still come, or one that must not be kept twice.
            or record.attempts
            or (record.tried and record.tried == record.received)
            # Nothing of it was heard after its end, but for a retry before it; so these tell `worker_at`.
            or (newest != succeeded and newest != failed and newest != retried)
            or not (succeeded <= newest >= failed and newest >= retried)
            or record.updated != (newest if newest >= sent else sent)
        ):
            return False
        own_root = record.root_id == task_id
        runtime, clock = record.runtime, record.clock
        packed = _PACKED.pack(
            self._number(
                (
                    record.task,
                    record.queue,
                    record.queue_retries,
                    record.worker,
                    record.worker_pid,
                    record.retries,
                    record.state,
                    own_root,
                )
            ),
            sent,
            record.received,
            record.started,
            retried,
            succeeded,
            failed,
            record.heard,
            math.nan if runtime is None else runtime,
            clock if isinstance(clock, int) and 0 < clock < MOST_CLOCK else 0,
        )
        root = None if own_root else record.root_id
        kin = Kin(packed, record.parent_id, root, record.run, record.request_id)
        self._kept[task_id] = kin if any(kin[1:]) else packed
        self._oldest.append(task_id)
        if len(self._oldest) > 2 * len(self._kept) + 1_000:
            self._oldest = deque(self._kept)
        return True

    def take(self, task_id: str) -> TaskRecord | None:
        """Returns the task as it was kept, and keeps it no longer; None if it is not here."""
        kept = self._kept.pop(task_id, None)
        if kept is None:
            return None
        packed, *kin = (kept, None, None, None, None) if isinstance(kept, bytes) else kept
        record = TaskRecord(task_id)
        number, *times, record.heard, runtime, record.clock = _PACKED.unpack(packed)
        record.sent, record.received, record.started, record.retried, record.succeeded, record.failed = times
        shared = self._shared[number]
        record.task, record.queue, record.queue_retries = shared.task, shared.queue, shared.queue_retries
        record.worker, record.worker_pid = shared.worker, shared.worker_pid
        record.retries, record.state = shared.retries, shared.state
        record.runtime = None if math.isnan(runtime) else runtime
        record.parent_id, record.root_id, record.run, record.request_id = kin
        if shared.own_root:
            record.root_id = record.id
        record.worker_at = max(times[1:])
        record.updated = max(times)
        return record

    def received_by(self, worker: str, pid: int | None, since: int) -> Sequence[str]:
        """Returns the ids of the tasks that a worker received since that time."""
        numbers = {
            number
            for number, shared in enumerate(self._shared)
            if shared.worker == worker and shared.worker_pid == pid
        }
        found = []
        for task_id, kept in self._kept.items():
            number, received = _RECEIVED.unpack_from(kept if isinstance(kept, bytes) else kept.packed)
            if number in numbers and received >= since:
                found.append(task_id)
        return found

    def drop_oldest(self) -> None:
        while self._kept.pop(self._oldest.popleft(), None) is None:
            pass

    def _number(self, shared: tuple[Any, ...]) -> int:
        """`shared`: the values of `Shared`; to make one of them takes longer than to find it."""
        number = self._numbers.get(shared)
        if number is None:
            if len(self._shared) >= MOST_SHARED:
                # Names without end: all are read from the database again, should more be heard of them.
                self._kept.clear()
                self._oldest.clear()
                self._shared.clear()
                self._numbers.clear()
            number = self._numbers[shared] = len(self._shared)
            self._shared.append(Shared(*shared))
        return number
