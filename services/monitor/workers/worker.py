"""One worker, as its events and its answers tell of it, and how many of its events were lost."""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.monitor.tasks.names import WorkerName
from services.monitor.workers.consumed import MOST_QUEUES, Consumed
from services.monitor.workers.skew import Skew
from services.monitor.workers.task_events import TaskEvents, TaskEventsHeard

BEATS_UNTIL_SILENT = 3
BEATS_UNTIL_GONE = 30
DEFAULT_INTERVAL = 2.0
# Seconds between two roll calls, in which every worker is asked for a word.
CALLS_EVERY = 15.0
# A worker that can say nothing while it runs a task is taken for dead only after so long.
BUSY_SECONDS = 3600.0
# The pool whose workers can answer whatever their tasks do.
FREE_POOL = "prefork"
# Clocks that differ by more than this are told as a warning: times of tasks are off by as much.
MOST_SKEW_SECONDS = 2.0


class WorkerState(enum.Enum):
    """Whether a worker is there, as far as it was heard: its events, heartbeats or not, and its answers.

    SILENT: nothing was heard for three beats. GONE: it said farewell, or nothing was heard for thirty beats.
    `WorkerRecord.gone_after` has the exceptions.
    """

    ONLINE = "online"
    SILENT = "silent"
    GONE = "gone"


class WorkerWarning(enum.Enum):
    """What is wrong with a worker; celeriac.monitor.v1.WorkerWarning has the meaning of each."""

    HOSTNAME_SHARED = "hostname shared"
    CLOCK_SKEWED = "clock skewed"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker at one moment. `load_average` is over 1, 5 and 15 minutes.

    `heartbeat_interval` is in seconds; None: no heartbeat was heard, so `active` and `processed` are not
    known. `clock_skew`: seconds that its clock is ahead of the monitor's; None: only answers were heard, no
    events.

    `started_heard` is the number of task-started events received from this process. `events_lost` is the
    number of those that it must have sent since its first heartbeat and that never arrived.
    """

    name: WorkerName
    state: WorkerState
    software: str
    software_version: str
    system: str
    active: int
    processed: int
    load_average: tuple[float, ...]
    heartbeat_interval: float | None
    started_heard: int
    events_lost: int
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    clock_skew: float | None = None
    pool: str = ""
    warnings: tuple[WorkerWarning, ...] = ()
    task_events: TaskEvents = TaskEvents.UNKNOWN
    # The queues that it consumes, by name; empty until it has told them.
    queues: tuple[str, ...] = ()
    # How many tasks it can run at once; 0: it has not told yet.
    concurrency: int = 0


class WorkerRecord:
    """What is known of one worker, which is one process.

    Times are microseconds of its own clock; `heard_at` is seconds of this machine's monotonic clock.

    A heartbeat contains the number of tasks started so far (`processed`). Events created before a heartbeat
    may come after it, since workers collect task events for a moment. So the count in one heartbeat is
    compared with the events received only when the next heartbeat comes.
    """

    def __init__(self, name: WorkerName, at: int, now: float, calls_every: float = CALLS_EVERY) -> None:
        self.name = name
        self.state = WorkerState.GONE
        self.first_seen = self.last_seen = at
        # When the first and the newest word came, and the newest farewell.
        self.known_at = self.heard_at = now
        self.left_at = -math.inf
        # When it said farewell, by its own clock; 0 if it has come back since.
        self.farewell_at = 0
        self.interval = DEFAULT_INTERVAL
        self.skew = Skew()
        self.task_events = TaskEventsHeard()
        self.consumed = Consumed()
        # Its pool, as in "prefork"; empty until it has answered a roll call.
        self.pool = ""
        # How many tasks it can run at once; 0 until it has answered.
        self.concurrency = 0
        # It was told what had been revoked before it was started.
        self.knows_revoked = False
        # Another process of its hostname was heard later than this one.
        self.succeeded = False
        self._calls_every = calls_every
        self.software = self.software_version = self.system = ""
        self.active = self.processed = 0
        self.load_average: tuple[float, ...] = ()
        self.started_heard = 0
        # Lost until the base, and in all.
        self.lost_before = self.lost = 0
        # Times of the first heartbeat (the base) and of the latest one, and the tasks started by then.
        self.base_at = self.base_processed = 0
        self.beat_at = self.beat_processed = 0
        self.started_until_beat = self.started_since_beat = 0

    def heartbeat(self, at: int, event: Mapping[str, Any], now: float) -> None:
        self.heard_at = max(self.heard_at, now)
        self.state = WorkerState.ONLINE
        self.farewell_at = 0
        if at < self.beat_at:
            return
        self.last_seen = max(self.last_seen, at)
        self.software = _name(event.get("sw_ident"))
        self.software_version = _name(event.get("sw_ver"))
        self.system = _name(event.get("sw_sys"))
        if "processed" not in event and "active" not in event:
            # Not of its own accord: a listener that begins, such as Flower, has all workers send one, by
            # Celery's command `heartbeat`. It says "every 5 s" also where no heartbeats come at all.
            return
        self.interval = _number(event.get("freq"), DEFAULT_INTERVAL, least=0.1, most=3600.0)
        self.active = int(_number(event.get("active"), 0))
        loads = event.get("loadavg")
        self.load_average = tuple(_number(load, 0.0) for load in loads[:3]) if type(loads) is list else ()
        self._compare(at, int(_number(event.get("processed"), 0)))

    def task_event(self, at: int, now: float) -> None:
        """Takes in that it sent an event of a task, which it did before its farewell or in spite of it."""
        if not self.task_events.fresh:
            self.task_events.event()
        if at > self.last_seen:
            self.last_seen = at
        if at > self.farewell_at:
            if now > self.heard_at:
                self.heard_at = now
            self.state = WorkerState.ONLINE

    def answered(self, at: int, now: float, asked_at: float) -> None:
        """Takes in that it answered a command. That counts unless it said farewell after it was asked."""
        if self.left_at < asked_at:
            self.heard_at = max(self.heard_at, now)
            self.last_seen = max(self.last_seen, at)
            self.state = WorkerState.ONLINE

    def farewell(self, at: int, now: float) -> None:
        """Takes in worker-offline, which counts unless a newer heartbeat was heard."""
        self.heard_at = max(self.heard_at, now)
        self.last_seen = max(self.last_seen, at)
        if at >= self.beat_at:
            self.state, self.active = WorkerState.GONE, 0
            self.farewell_at, self.left_at = at, now

    @property
    def silent_after(self) -> float:
        """Seconds without a word after which it is SILENT."""
        return BEATS_UNTIL_SILENT * (self.interval if self.beat_at else self._calls_every)

    @property
    def gone_after(self) -> float:
        """Seconds without a word after which it is taken for dead.

        One that has said farewell has no more to say. A worker that is busy with a task may be unable to
        say a word: one of the pool solo can't, and of one without heartbeats that is not known, unless its
        pool is of processes, which leave it free to answer. Such a one is waited for, unless another process
        has taken its hostname.
        """
        if self.farewell_at:
            return self.silent_after
        may_be_busy = self.pool == "solo" or not (self.beat_at or self.pool == FREE_POOL)
        if may_be_busy and not self.succeeded:
            return max(BUSY_SECONDS, self.silent_after)
        return max(BEATS_UNTIL_GONE * self.interval, self.silent_after)

    def silent(self, seconds: float) -> bool:
        """Takes in that nothing was heard for so long. Returns whether the state has changed."""
        before = self.state
        if before is WorkerState.GONE or seconds <= self.silent_after:
            return False
        self.state = WorkerState.SILENT if seconds <= self.gone_after else WorkerState.GONE
        self.active = 0
        return self.state is not before

    def silent_at(self) -> float:
        """When its state changes if nothing more is heard, in seconds as `heard_at`; `math.inf` if GONE."""
        if self.state is WorkerState.GONE:
            return math.inf
        return self.heard_at + (self.silent_after if self.state is WorkerState.ONLINE else self.gone_after)

    def _compare(self, at: int, processed: int) -> None:
        self.processed = processed
        self.task_events.count(processed)
        if not self.base_at or not self.started_heard:
            # Without any task event so far, none counts as lost: the worker may run without -E. So what it
            # ran until now is not owed when it is told to send events.
            self.base_at, self.base_processed = at, processed
        else:
            owed = self.beat_processed - self.base_processed
            self.lost = self.lost_before + max(0, owed - self.started_until_beat)
        self.started_until_beat += self.started_since_beat
        self.started_since_beat = 0
        self.beat_at, self.beat_processed = at, processed

    def count_anew(self) -> None:
        """Takes in that events of tasks are missed on purpose: its next heartbeat is the new base."""
        self.lost_before = self.lost
        self.base_at = self.base_processed = 0
        self.started_until_beat = self.started_since_beat = 0
        self.task_events.count_anew()

    def started(self, at: int) -> None:
        self.started_heard += 1
        self.last_seen = max(self.last_seen, at)
        if not self.base_at or at <= self.base_at:
            return  # counted in the base, which the first heartbeat gives
        if at <= self.beat_at:
            self.started_until_beat += 1
        else:
            self.started_since_beat += 1

    def worker(self, *, shared: bool = False) -> Worker:
        """`shared`: another process of its hostname runs at the same time."""
        skew = self.skew.seconds()
        warnings = [WorkerWarning.HOSTNAME_SHARED] if shared else []
        if skew is not None and abs(skew) > MOST_SKEW_SECONDS:
            warnings.append(WorkerWarning.CLOCK_SKEWED)
        return Worker(
            self.name,
            self.state,
            self.software,
            self.software_version,
            self.system,
            self.active,
            self.processed,
            self.load_average,
            self.interval if self.beat_at else None,
            self.started_heard,
            self.lost,
            _moment(self.first_seen),
            _moment(self.last_seen),
            skew,
            self.pool,
            tuple(warnings),
            self.task_events.state,
            tuple(sorted(self.consumed.queues or ())[:MOST_QUEUES]),
            self.concurrency,
        )


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def _name(value: object) -> str:
    return value[:255] if isinstance(value, str) else ""


def _number(value: object, default: float, *, least: float = 0.0, most: float = 2.0**53) -> float:
    return value if isinstance(value, int | float) and least <= value <= most else default
