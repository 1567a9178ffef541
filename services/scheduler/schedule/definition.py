"""Schedules, their definitions and their runs, as the scheduler's own types."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from hashlib import sha1
from types import MappingProxyType
from typing import NamedTuple

from services.scheduler.timing.due_times import OnceTiming, Timing
from services.scheduler.timing.plan import NO_TIME, ONCE_WITHIN_AN_HOUR, UNBOUNDED, Bounds, Misfire, Plan

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
# Stands in for a timing that is unknown or can't be read. It is never due.
NEVER = OnceTiming(EPOCH, "UTC")
# The 17th hex digit of a UUID, by that of the digest: two bits for the variant, two bits of the digest.
VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
# The namespace of the task ids of runs and schedules that are older than namespaces of their own.
COMMON_NAMESPACE = uuid.UUID("5e1e71ac-0000-5000-8000-ce1e71ac0000").bytes


class Task(NamedTuple):
    """The Celery message that a run sends. Times in seconds; None leaves the limit to the worker."""

    name: str
    args_json: str = "[]"
    kwargs_json: str = "{}"
    queue: str = "celery"
    priority: int = 0
    expires: float | None = None
    soft_time_limit: float | None = None
    time_limit: float | None = None
    headers: Mapping[str, str] = MappingProxyType({})


class Overlap(Enum):
    """What is done about a due time that comes while an earlier run is still going."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Definition:
    """What a person decides about a schedule."""

    id: str
    task: Task
    timing: Timing
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False
    pause_note: str = ""
    bounds: Bounds = UNBOUNDED
    jitter: dt.timedelta = NO_TIME
    misfire: Misfire = ONCE_WITHIN_AN_HOUR
    overlap: Overlap = Overlap.ALLOW
    # A run whose message was lost with the broker's data is sent again.
    resend_lost: bool = False
    # It pauses itself when so many of its runs in a row have failed; None: it goes on.
    pause_after_failures: int | None = None

    @property
    def plan(self) -> Plan:
        return Plan(self.timing, self.bounds, self.jitter, self.misfire)

    def is_never_due(self, run_count: int) -> bool:
        """Returns whether it is paused, or has had max_runs runs."""
        most = self.bounds.max_runs
        return self.paused or (most is not None and run_count >= most)


@dataclass(frozen=True)
class Schedule:
    """A stored schedule. `version` grows with each change by a person, `run_count` with each due time run."""

    definition: Definition
    version: int
    next_due_at: dt.datetime | None
    last_run_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    run_count: int = 0
    # That of its runs' task ids (see `task_id`).
    task_namespace: bytes | None = None
    # The fields of the contract that can't be read from the stored row, and why. Only rows that somebody has
    # written by SQL have such fields.
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        """All faults in one text; empty when there is none."""
        return "; ".join(f"{field} can't be read: {fault}" for field, fault in self.faults.items())

    @property
    def etag(self) -> str:
        """The moment of its creation, in microseconds, and its version.

        Versions begin anew when a schedule is deleted and created again, the moments do not.
        """
        return f"{(self.created_at - EPOCH) // MICROSECOND:x}-{self.version}"


class RunState(Enum):
    PENDING = "pending"
    PUBLISHED = "published"
    SKIPPED = "skipped"
    # Held back until an earlier run has ended.
    WAITING = "waiting"
    # Published, and lost with the broker's data.
    LOST = "lost"


class Run(NamedTuple):
    """One due time of a schedule, and what was done about it."""

    schedule_id: str
    due_at: dt.datetime
    state: RunState
    reason: str
    published_at: dt.datetime | None = None
    # How its task ended (one of Celery's states), as the monitor reports it; None until it does.
    outcome: str | None = None
    # In seconds.
    runtime: float | None = None
    error: str | None = None
    ended_at: dt.datetime | None = None
    task_namespace: bytes | None = None
    # The version of its schedule when it was recorded; None: it is not known.
    schedule_version: int | None = None

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at, self.task_namespace)


def task_id(schedule_id: str, due_at: dt.datetime, namespace: bytes | None) -> str:
    """Returns the Celery task id of a run: a UUID of the schedule's id and the due time in a namespace.

    `namespace`: what the run has recorded. It is that of its schedule, which no schedule before or after had,
    also under the same id; or that of the backfill that sends it. None: COMMON_NAMESPACE.
    """
    seed = (namespace or COMMON_NAMESPACE) + schedule_id.encode() + _at(due_at)
    digits = sha1(seed, usedforsecurity=False).hexdigest()
    # A UUID of version 5 (RFC 9562), made by hand, for each run: the uuid module takes twice as long.
    variant = VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


# Cached, because many runs have the same due time.
@lru_cache(maxsize=1000)
def _at(due_at: dt.datetime) -> bytes:
    if due_at.tzinfo is None:
        # Infinite, as somebody has written it by SQL.
        due_at = due_at.replace(tzinfo=dt.UTC)
    return f"@{due_at.timestamp()}".encode()
