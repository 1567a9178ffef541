"""One worker, as its heartbeats tell of it, and how many of its events were lost."""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.monitor.tasks.names import WorkerName

BEATS_UNTIL_SILENT = 3
BEATS_UNTIL_GONE = 30
DEFAULT_INTERVAL = 2.0


class WorkerState(enum.Enum):
    """Whether a worker is there, as far as its heartbeats tell.

    SILENT: none was heard for three beats. GONE: it said farewell, or none was heard for thirty beats.
    """

    ONLINE = "online"
    SILENT = "silent"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker at one moment. `heartbeat_interval` is in seconds, `load_average` over 1, 5 and 15 minutes.

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
    heartbeat_interval: float
    started_heard: int
    events_lost: int
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime


class WorkerRecord:
    """What is known of one worker, which is one process.

    Times are microseconds of its own clock; `heard_at` is seconds of this machine's monotonic clock.

    A heartbeat contains the number of tasks started so far (`processed`). Events created before a heartbeat
    may come after it, since workers collect task events for a moment. So the count in one heartbeat is
    compared with the events received only when the next heartbeat comes.
    """

    def __init__(self, name: WorkerName, at: int, now: float) -> None:
        self.name = name
        self.state = WorkerState.GONE
        self.first_seen = self.last_seen = at
        # When the newest heartbeat or farewell came.
        self.heard_at = now
        self.interval = DEFAULT_INTERVAL
        self.software = self.software_version = self.system = ""
        self.active = self.processed = 0
        self.load_average: tuple[float, ...] = ()
        self.started_heard = 0
        self.lost = 0
        # Times of the first heartbeat (the base) and of the latest one, and the tasks started by then.
        self.base_at = self.base_processed = 0
        self.beat_at = self.beat_processed = 0
        self.started_until_beat = self.started_since_beat = 0

    def heartbeat(self, at: int, event: Mapping[str, Any], now: float) -> None:
        self.heard_at = max(self.heard_at, now)
        self.state = WorkerState.ONLINE
        if at < self.beat_at:
            return
        self.last_seen = max(self.last_seen, at)
        self.interval = _number(event.get("freq"), DEFAULT_INTERVAL, least=0.1, most=3600.0)
        self.software = _name(event.get("sw_ident"))
        self.software_version = _name(event.get("sw_ver"))
        self.system = _name(event.get("sw_sys"))
        self.active = int(_number(event.get("active"), 0))
        loads = event.get("loadavg")
        self.load_average = tuple(_number(load, 0.0) for load in loads[:3]) if type(loads) is list else ()
        self._compare(at, int(_number(event.get("processed"), 0)))

    def farewell(self, at: int, now: float) -> None:
        """Takes in worker-offline, which counts unless a newer heartbeat was heard."""
        self.heard_at = max(self.heard_at, now)
        self.last_seen = max(self.last_seen, at)
        if at >= self.beat_at:
            self.state, self.active = WorkerState.GONE, 0

    def silent(self, seconds: float) -> bool:
        """Takes in that nothing was heard for so long. Returns whether the state has changed."""
        before, beats = self.state, seconds / self.interval
        if before is WorkerState.GONE or beats <= BEATS_UNTIL_SILENT:
            return False
        self.state = WorkerState.SILENT if beats <= BEATS_UNTIL_GONE else WorkerState.GONE
        self.active = 0
        return self.state is not before

    def silent_at(self) -> float:
        """When its state changes if nothing more is heard, in seconds as `heard_at`; `math.inf` if GONE."""
        beats = {WorkerState.ONLINE: BEATS_UNTIL_SILENT, WorkerState.SILENT: BEATS_UNTIL_GONE}
        return self.heard_at + self.interval * beats.get(self.state, math.inf)

    def _compare(self, at: int, processed: int) -> None:
        self.processed = processed
        if not self.base_at or not self.started_heard:
            # Without any task event so far, none counts as lost: the worker may run without -E.
            if not self.base_at or processed < self.base_processed:
                self.base_at, self.base_processed = at, processed
        else:
            owed = self.beat_processed - self.base_processed
            self.lost = max(0, owed - self.started_until_beat)
        self.started_until_beat += self.started_since_beat
        self.started_since_beat = 0
        self.beat_at, self.beat_processed = at, processed

    def started(self, at: int) -> None:
        self.started_heard += 1
        self.last_seen = max(self.last_seen, at)
        if at <= self.base_at:
            return  # counted in the base
        if at <= self.beat_at:
            self.started_until_beat += 1
        else:
            self.started_since_beat += 1

    def worker(self) -> Worker:
        return Worker(
            self.name,
            self.state,
            self.software,
            self.software_version,
            self.system,
            self.active,
            self.processed,
            self.load_average,
            self.interval,
            self.started_heard,
            self.lost,
            _moment(self.first_seen),
            _moment(self.last_seen),
        )


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def _name(value: object) -> str:
    return value[:255] if isinstance(value, str) else ""


def _number(value: object, default: float, *, least: float = 0.0, most: float = 2.0**53) -> float:
    return value if isinstance(value, int | float) and least <= value <= most else default
