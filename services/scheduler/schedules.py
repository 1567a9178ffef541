"""Schedules and runs, as the scheduler thinks of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from services.scheduler.timing import Timing, next_due

# Late by no more than this, a due time is run as if in time; every one that passed in between, too.
IN_TIME = dt.timedelta(seconds=60)
# A schedule that someone broke by SQL is looked at again after this.
UNREADABLE_AGAIN = dt.timedelta(minutes=10)
# What nothing could run for longer is made up for by one run, if it was due within this.
MISFIRE_WINDOW = dt.timedelta(hours=1)

RUN_NAMESPACE = uuid.UUID("5e1e71ac-0000-5000-8000-ce1e71ac0000").bytes


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


@dataclass(frozen=True)
class Schedule:
    """A stored schedule. `version` grows with each change by a person."""

    definition: Definition
    version: int
    next_run_at: dt.datetime | None
    last_run_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def etag(self) -> str:
        return f"{self.definition.id}-{self.version}"


class RunState(Enum):
    PENDING = "pending"
    PUBLISHED = "published"
    SKIPPED = "skipped"


class Run(NamedTuple):
    """One due time of a schedule, and what was done about it."""

    schedule_id: str
    due_at: dt.datetime
    state: RunState
    reason: str
    published_at: dt.datetime | None = None

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at)


def task_id(schedule_id: str, due_at: dt.datetime) -> str:
    """The Celery task id of a due time: always the same one, so that a run can be known again."""
    seed = RUN_NAMESPACE + f"{schedule_id}@{due_at.timestamp()}".encode()
    digits = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
    # A UUID of version 5 (RFC 9562), written out: the uuid module takes twice as long, for each run.
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


class Decision(NamedTuple):
    """What to do about a due time that has come: the runs to record, and when the schedule is due next."""

    runs: tuple[Run, ...]
    next_run_at: dt.datetime | None
    # The usual case: one run, of the due time itself.
    in_time: bool = False


def decide(schedule_id: str, timing: Timing, due: dt.datetime, now: dt.datetime) -> Decision:
    """In time: run it. Missed, because nothing could run: make up for it once, if it is not too long ago."""
    if now - due <= IN_TIME:
        return Decision((Run(schedule_id, due, RunState.PENDING, "due"),), next_due(timing, due), True)
    # The first due time within the window stands for all that were missed.
    just_before = dt.timedelta(microseconds=1)
    made_up = next_due(timing, max(due, now - MISFIRE_WINDOW) - just_before)
    runs = []
    if made_up is None or made_up > now:
        reason = f"missed by {_words(now - due)}, more than {_words(MISFIRE_WINDOW)}"
        runs.append(Run(schedule_id, due, RunState.SKIPPED, reason))
    else:
        if made_up != due:
            reason = f"missed by {_words(now - due)}; one later run makes up for it"
            runs.append(Run(schedule_id, due, RunState.SKIPPED, reason))
        reason = f"late by {_words(now - made_up)}; makes up for all that was missed"
        runs.append(Run(schedule_id, made_up, RunState.PENDING, reason))
    return Decision(tuple(runs), next_due(timing, now))


def decide_unreadable(schedule_id: str, due: dt.datetime, now: dt.datetime, fault: str) -> Decision:
    """A stored schedule that can't be read is passed over, and says so; the others go on."""
    run = Run(schedule_id, due, RunState.SKIPPED, unreadable(fault))
    return Decision((run,), now + UNREADABLE_AGAIN)


def unreadable(fault: str) -> str:
    return f"the stored schedule can't be read: {fault}"[:500]


def _words(span: dt.timedelta) -> str:
    return str(dt.timedelta(seconds=int(span.total_seconds())))
