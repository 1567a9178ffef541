"""Workers: which are online, and how many of their events were lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BEATS_UNTIL_OFFLINE = 3
DEFAULT_INTERVAL = 2.0
# Offline workers are shown for a day.
KEPT_SECONDS = 24 * 3600.0
MOST_WORKERS = 10_000


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker at one moment. `heartbeat_interval` is in seconds, `load_average` over 1, 5 and 15 minutes.

    `started_heard` is the number of task-started events received from this process. `events_lost` is the
    number of those that it must have sent since its first heartbeat and that never arrived.
    """

    hostname: str
    online: bool
    pid: int
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


class _Process:
    """One process of a worker. Times are microseconds of its own clock; `heard_at` is seconds of this
    machine's monotonic clock.

    A heartbeat contains the number of tasks started so far (`processed`). Events created before a heartbeat
    may come after it, since workers collect task events for a moment. So the count in one heartbeat is
    compared with the events received only when the next heartbeat comes.
    """

    def __init__(self, hostname: str, pid: int, at: int) -> None:
        self.hostname = hostname
        self.pid = pid
        self.online = False
        self.first_seen = self.last_seen = at
        self.heard_at = 0.0
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
            self.hostname,
            self.online,
            self.pid,
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


class WorkerTable:
    """All known workers. `now` is passed in everywhere, in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._processes: dict[str, _Process] = {}
        self._lost_before = 0

    def hear(self, event_type: str, at: int, event: Mapping[str, Any], now: float) -> Worker | None:
        """Takes in worker-online, -heartbeat or -offline. Returns the worker if it went online or offline."""
        hostname, pid = event.get("hostname"), event.get("pid")
        if type(hostname) is not str or type(pid) is not int:
            return None
        process = self._process(hostname[:255], pid, at)
        if process is None:
            return None
        was_online = process.online
        if event_type == "worker-offline":
            process.online = process.online and at < process.beat_at
            process.active = process.active if process.online else 0
            process.last_seen = max(process.last_seen, at)
        else:
            process.heartbeat(at, event, now)
            process.online = True
        return process.worker() if process.online != was_online else None

    def started(self, event: Mapping[str, Any], at: int) -> None:
        """Counts a task-started event. The caller must not pass the same event twice."""
        hostname = event.get("hostname")
        # Any program that reaches the broker can write an event.
        process = self._processes.get(hostname[:255]) if type(hostname) is str else None
        if process is not None and process.pid == event.get("pid"):
            process.started(at)

    def sweep(self, now: float) -> Sequence[Worker]:
        """Marks silent workers as offline and returns them; forgets those that were silent for a day."""
        gone = []
        for process in list(self._processes.values()):
            silence = now - process.heard_at
            if process.online and silence > BEATS_UNTIL_OFFLINE * process.interval:
                process.online, process.active = False, 0
                gone.append(process.worker())
            elif not process.online and silence > KEPT_SECONDS:
                self._forget(process)
        return gone

    def all(self) -> Sequence[Worker]:
        """Returns the online workers and those heard from within the last day, by name."""
        return [self._processes[name].worker() for name in sorted(self._processes)]

    def online(self) -> int:
        """Returns how many workers are online."""
        return sum(process.online for process in self._processes.values())

    def active(self) -> int:
        """Returns how many tasks are being run now, by the workers' own count."""
        return sum(process.active for process in self._processes.values() if process.online)

    def lost(self) -> int:
        """Returns how many task-started events workers must have sent that never arrived."""
        return self._lost_before + sum(process.lost for process in self._processes.values())

    def _process(self, hostname: str, pid: int, at: int) -> _Process | None:
        known = self._processes.get(hostname)
        if known is not None and known.pid == pid:
            return known
        if known is not None:
            if at < known.last_seen:
                return None  # a late event of a process that has been replaced
            self._forget(known)
        elif len(self._processes) >= MOST_WORKERS:
            self._forget(min(self._processes.values(), key=lambda process: process.heard_at))
        process = self._processes[hostname] = _Process(hostname, pid, at)
        return process

    def _forget(self, process: _Process) -> None:
        del self._processes[process.hostname]
        self._lost_before += process.lost


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def _name(value: object) -> str:
    return value[:255] if isinstance(value, str) else ""


def _number(value: object, default: float, *, least: float = 0.0, most: float = 2.0**53) -> float:
    return value if isinstance(value, int | float) and least <= value <= most else default
