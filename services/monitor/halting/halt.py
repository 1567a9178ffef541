"""What stops tasks: a halt of the whole system, and the work on its workers."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.monitor.tasks.names import WorkerName


@dataclass(frozen=True)
class Halt:
    """`stopped_at`: since when no new tasks are sent and taken; None: they are.

    `shut_down`: workers are ended, too. `scheduler_sends`: what the scheduler was told last.
    """

    stopped_at: dt.datetime | None = None
    stopped_by: str = ""
    shut_down: bool = False
    scheduler_sends: bool = True

    @property
    def holds(self) -> bool:
        return self.stopped_at is not None

    @property
    def scheduler_told(self) -> bool:
        return self.scheduler_sends is not self.holds


class Kind(enum.Enum):
    """What is done to workers: wait until they have nothing to run; the same, and end them; restart them."""

    DRAIN = "drain_system"
    SHUTDOWN = "shutdown_system"
    RESTART = "restart_workers"


class StepState(enum.Enum):
    """WAITING: nothing was done. TOLD: it was told to end. DONE, FAILED: it is over."""

    WAITING = "waiting"
    TOLD = "told to end"
    DONE = "done"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in (StepState.DONE, StepState.FAILED)


@dataclass
class Step:
    """What is to be done to one worker. `told_at`: when it was told to end, in seconds since 1970."""

    worker: WorkerName
    state: StepState = StepState.WAITING
    told_at: float = 0.0
    note: str = ""

    def dump(self) -> Mapping[str, Any]:
        hostname, pid = self.worker
        return {
            "hostname": hostname,
            "pid": pid,
            "state": self.state.value,
            "told_at": self.told_at,
            "note": self.note,
        }

    @staticmethod
    def load(stored: Mapping[str, Any]) -> Step:
        worker = WorkerName(stored["hostname"], stored["pid"])
        return Step(worker, StepState(stored["state"]), stored["told_at"], stored["note"])

    @property
    def words(self) -> str:
        return f"{self.state.value}: {self.note}" if self.note else self.state.value


@dataclass
class Work:
    """Work under way.

    `until`: how long running tasks are waited for. `patience`: seconds that a worker has, once it was told to
    end, to be gone or back.
    """

    operation: str
    kind: Kind
    until: dt.datetime
    patience: float
    steps: Sequence[Step]


class Concerned(NamedTuple):
    """A worker, and how many tasks it runs or has taken to run next; None: it did not answer."""

    worker: WorkerName
    tasks: int | None
