"""All workers that were heard of, each process by itself."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.kernel.errors import FailedPrecondition
from services.monitor.tasks.names import WorkerName, cut
from services.monitor.tasks.tasks import TaskState
from services.monitor.tasks.values import pid_in
from services.monitor.workers.worker import (
    BEATS_UNTIL_GONE,
    BUSY_SECONDS,
    CALLS_EVERY,
    DEFAULT_INTERVAL,
    Worker,
    WorkerRecord,
    WorkerState,
)

# Workers that are gone are shown for a day, and of one hostname no more than this many.
KEPT_SECONDS = 24 * 3600.0
MOST_GONE = 10
MOST_WORKERS = 10_000
# For longer than this no answer to a command is waited for, and no monitor asked for those deleted.
DELETED_SECONDS = 3600.0


class HeardOfTasks:
    """What one worker sent of its tasks: times of its own clock, in microseconds.

    `started` has those of its task-started events, `ended` the states in which tries ended. The caller must
    not pass the same event twice.
    """

    __slots__ = ("ended", "first", "newest", "started")

    def __init__(self, at: int) -> None:
        self.first = self.newest = at
        self.started: list[int] = []
        self.ended: list[TaskState] = []


class WorkerTable:
    """All known workers. `now` is passed in everywhere, in seconds of one monotonic clock.

    `arrived` is the same moment in microseconds since 1970, 0 where it is not known. `calls_every`: the
    seconds between roll calls.

    A worker is known by its hostname and its process id together: a worker that is started again is another
    one, and so is each of two that run at once under one hostname. Neither disturbs the counts of the other.
    """

    def __init__(self, calls_every: float = CALLS_EVERY) -> None:
        self._calls_every = calls_every
        self._workers: dict[WorkerName, WorkerRecord] = {}
        # The same, by hostname and process id.
        self._by_hostname: dict[str, dict[int, WorkerRecord]] = {}
        # By hostname, how many tries its workers were heard to start and to end, by the state.
        self.tries: dict[str, Counter[TaskState]] = {}
        # When workers were deleted, for a while.
        self._deleted: dict[WorkerName, float] = {}
        self._lost_before = 0
        # Whether events of tasks are heard, so that workers' counts can be compared with them.
        self._tasks_are_heard = True

    def hear(
        self, event_type: str, at: int, event: Mapping[str, Any], now: float, arrived: int = 0
    ) -> Worker | None:
        """Takes in worker-online, -heartbeat or -offline. Returns the worker if its state has changed."""
        hostname, pid = event.get("hostname"), pid_in(event)
        if type(hostname) is not str or pid is None:
            return None
        record = self._record(WorkerName(cut(hostname), pid), at, now)
        before = record.state
        if arrived:
            record.skew.hear(at, arrived, now)
        if event_type == "worker-online":
            # A container's process may have the number of the one before it.
            record.knows_revoked = False
        if event_type == "worker-offline":
            record.farewell(at, now)
        else:
            if not self._tasks_are_heard:
                record.count_anew()
            record.heartbeat(at, event, now)
        return self._worker(record) if record.state is not before else None

    def count_tasks(self, heard: bool) -> None:
        """Takes in whether events of tasks are heard from now on: of those that are not, none is lost."""
        self._tasks_are_heard = heard
        for record in self._workers.values():
            record.count_anew()

    def hear_tasks(
        self, heard: Mapping[tuple[str, int], HeardOfTasks], now: float, arrived: int = 0
    ) -> Sequence[Worker]:
        """Takes in what workers, by hostname and process id, sent of their tasks, which came at once.

        Returns those whose state has changed. Not for task-sent, whose sender may be any program.
        """
        changed = []
        for (hostname, pid), of_worker in heard.items():
            of_hostname = self._by_hostname.get(hostname) or self._by_hostname.get(cut(hostname))
            record = of_hostname.get(pid) if of_hostname is not None else None
            if record is None:
                if not 0 <= pid < 2**63:
                    continue
                record = self._record(WorkerName(cut(hostname), pid), of_worker.first, now)
            before = record.state
            if arrived:
                record.skew.hear(of_worker.newest, arrived, now)
            record.task_event(of_worker.newest, now)
            for at in of_worker.started:
                record.started(at)
            tries = self.tries.setdefault(record.name.hostname, Counter())
            tries[TaskState.STARTED] += len(of_worker.started)
            tries.update(of_worker.ended)
            if record.state is not before:
                changed.append(self._worker(record))
        return changed

    def answered(
        self,
        name: WorkerName,
        now: float,
        arrived: int,
        asked_at: float,
        pool: str = "",
        processed: int | None = None,
        concurrency: int = 0,
    ) -> Worker | None:
        """Takes in an answer to a command. Returns the worker if its state has changed.

        An answer may tell the hostname only. It is then taken for a word of the one worker of that hostname
        that is there; where there are several, or none, it is not known whose word it is. `processed`: its
        own count of tasks, if it told that; `concurrency`: how many it can run at once, 0 if it did not.
        """
        hostname, pid = cut(name.hostname), name.pid
        if pid is None:
            there = self._there_under(hostname)
            if len(there) != 1:
                return None
            record = there[0]
        elif self._deleted.get(WorkerName(hostname, pid), -math.inf) >= asked_at:
            return None
        else:
            record = self._record(WorkerName(hostname, pid), arrived, now)
        before = record.state
        record.pool, record.concurrency = pool or record.pool, concurrency or record.concurrency
        if processed is not None and not record.beat_at:
            record.task_events.count(processed)  # heartbeats are more frequent, and tell the same
        record.answered(arrived, now, asked_at)
        return self._worker(record) if record.state is not before else None

    def consumes(
        self, hostname: str, queues: frozenset[str] | None, asked_at: float
    ) -> tuple[WorkerName, float] | None:
        """Takes in which queues the worker of the hostname consumes; None: its answer does not tell.

        Where several are there, it is not known whose word it is. Returns the worker, and since when it is
        not sure which queues it consumed, if that has just become so.
        """
        there = self._there_under(cut(hostname))
        unsure = None
        for record in there:
            since = record.consumed.told(queues if len(there) == 1 else None, asked_at)
            unsure = (record.name, since) if since is not None else unsure
        return unsure

    def queues_of(self, event: Mapping[str, Any], now: float) -> frozenset[str] | None:
        """Returns the queues that the worker of an event consumes, if they are known for the moment at which
        the event came."""
        hostname, pid = event.get("hostname"), pid_in(event)
        if type(hostname) is not str or pid is None:
            return None
        record = self._by_hostname.get(cut(hostname), {}).get(pid)
        return None if record is None else record.consumed.at(now)

    def sweep(self, now: float) -> Sequence[Worker]:
        """Returns the workers that have become silent or are given up; forgets those gone for a day."""
        changed = []
        for record in list(self._workers.values()):
            silence = now - record.heard_at
            record.succeeded = self._has_successor(record)
            if record.silent(silence):
                changed.append(self._worker(record))
            elif record.state is WorkerState.GONE and silence > KEPT_SECONDS:
                self._forget(record)
        return changed

    def next_sweep(self) -> float:
        """Returns when `sweep` has something to do if nothing more is heard; `math.inf` if never."""
        ends = (min(record.silent_at(), record.heard_at + KEPT_SECONDS) for record in self._workers.values())
        return min(ends, default=math.inf)

    def all(self) -> Sequence[Worker]:
        """Returns all workers, by name."""
        return [
            self._worker(record) for _, record in sorted(self._workers.items(), key=lambda item: str(item[0]))
        ]

    def find(self, name: WorkerName) -> Sequence[Worker]:
        """Returns the worker of that name; the workers of a hostname, last heard of first, if that is all."""
        of_hostname = self._by_hostname.get(name.hostname, {})
        if name.pid is not None:
            return [self._worker(of_hostname[name.pid])] if name.pid in of_hostname else []
        records = sorted(of_hostname.values(), key=lambda record: record.heard_at, reverse=True)
        return [self._worker(record) for record in records]

    def refuse_online(self, name: WorkerName) -> None:
        """Raises `FailedPrecondition` if the worker is ONLINE."""
        record = self._workers.get(name)
        if record is not None and record.state is WorkerState.ONLINE:
            raise FailedPrecondition("WORKER_ONLINE", f"the worker {str(name)!r} is online; stop it first")

    def delete(self, name: WorkerName, now: float) -> None:
        """Forgets a worker. Raises `FailedPrecondition` if it is ONLINE."""
        self.refuse_online(name)
        self.deleted(name, now)

    def deleted(self, name: WorkerName, moment: float) -> bool:
        """Takes in that a worker was deleted then, at this monitor or another: it is forgotten, unless it was
        heard since. It is known again as soon as it is heard. Returns whether it was known.

        An answer to a command that was sent before is no word of it: it may have been given before its end.
        """
        record = self._workers.get(name)
        if record is not None:
            if record.state is WorkerState.ONLINE or record.heard_at > moment:
                return False
            self._forget(record)
        for other, before in list(self._deleted.items()):
            if moment - before > DELETED_SECONDS:
                del self._deleted[other]
        self._deleted[name] = max(moment, self._deleted.get(name, moment))
        return record is not None

    def to_be_told(self, name: WorkerName) -> bool:
        """Whether a worker should be told to send events of its tasks.

        It should not if another process of its hostname, which the command would reach, was switched off.
        """
        record = self._workers.get(name)
        return (
            record is not None
            and record.task_events.to_be_told
            and not any(
                other.task_events.switched_off
                for other in self._others(record)
                if other.state is not WorkerState.GONE
            )
        )

    def was_told(self, name: WorkerName) -> None:
        """Takes in that a worker was told to send events of its tasks."""
        if name in self._workers:
            self._workers[name].task_events.was_told()

    def has_sent(self, name: WorkerName) -> None:
        """Takes in that a worker has sent events of tasks, at some time in its life."""
        if name in self._workers:
            self._workers[name].task_events.ever = True

    def to_be_told_of_revocations(self) -> Sequence[WorkerName]:
        """Returns the workers that are there and may not know what was revoked before they came."""
        return [name for name in self.there() if not self._workers[name].knows_revoked]

    def told_of_revocations(self, names: Iterable[WorkerName]) -> None:
        """Takes in that these workers have been told what was revoked."""
        for name in names:
            if name in self._workers:
                self._workers[name].knows_revoked = True

    def missed_a_revocation(self, names: Iterable[WorkerName]) -> None:
        """Takes in that these workers may have missed a revocation. A name may be a hostname alone."""
        for name in names:
            for worker in self.find(name):
                self._workers[worker.name].knows_revoked = False

    def online(self) -> Sequence[WorkerName]:
        """Returns the names of the workers that are online."""
        return [name for name, record in self._workers.items() if record.state is WorkerState.ONLINE]

    def there(self) -> Sequence[WorkerName]:
        """Returns the names of the workers that are online or silent."""
        return [name for name, record in self._workers.items() if record.state is not WorkerState.GONE]

    def shared(self, hostname: str) -> bool:
        """Whether several workers of the hostname are online or silent."""
        return len(self._there_under(cut(hostname))) > 1

    def consumed(self) -> frozenset[str] | None:
        """Returns the queues of the workers that are there; None while some have not told theirs."""
        told = [self._workers[name].consumed.queues for name in self.there()]
        known = [queues for queues in told if queues is not None]
        return frozenset().union(*known) if len(known) == len(told) else None

    def consumers(self) -> tuple[Mapping[str, Sequence[WorkerName]], bool]:
        """Returns the workers that are there by the queues that they consume, and whether all told theirs."""
        by_queue: dict[str, list[WorkerName]] = {}
        all_told = True
        for name in self.there():
            queues = self._workers[name].consumed.queues
            all_told = all_told and queues is not None
            for queue in queues or ():
                by_queue.setdefault(queue, []).append(name)
        return by_queue, all_told

    def is_gone(self, name: WorkerName, listened: float) -> bool:
        """Whether the worker is known to be gone. A name without a process id stands for all of its hostname.

        `listened`: for how many seconds workers have been listened to. One that was never heard in that time
        may be busy, and is waited for as others that can't say a word.
        """
        of_hostname = self._by_hostname.get(name.hostname, {})
        there = self._there_under(name.hostname)
        if name.pid is None and of_hostname:
            return not there
        record = of_hostname.get(name.pid) if name.pid is not None else None
        if record is not None:
            return record.state is WorkerState.GONE
        if name in self._deleted:
            return True
        return listened > (BEATS_UNTIL_GONE * DEFAULT_INTERVAL if there else BUSY_SECONDS)

    def skew_of(self, name: WorkerName) -> float:
        """Returns how many seconds the worker's clock is ahead; 0 if that is not known."""
        found = self.find(name)
        return (found[0].clock_skew or 0.0) if found else 0.0

    def by_state(self) -> Mapping[WorkerState, int]:
        """Returns how many workers are in each state."""
        counts = Counter(record.state for record in self._workers.values())
        return {state: counts[state] for state in WorkerState}

    def heard_last(self, most: int) -> Mapping[str, Sequence[WorkerRecord]]:
        """Returns the workers of so many hostnames, of those that were heard last."""
        hostnames = self._by_hostname
        if len(hostnames) <= most:
            return {hostname: list(records.values()) for hostname, records in hostnames.items()}
        newest = heapq.nlargest(most, hostnames, key=self._heard_at)
        return {hostname: list(hostnames[hostname].values()) for hostname in newest}

    def _heard_at(self, hostname: str) -> float:
        return max(record.heard_at for record in self._by_hostname[hostname].values())

    def concurrency_of(self, names: Iterable[WorkerName]) -> int:
        """Returns how many tasks the workers can run at once together, as far as they have told."""
        return sum(self._workers[name].concurrency for name in names if name in self._workers)

    def active(self) -> int:
        """Returns how many tasks are being run now, by the workers' own count."""
        return sum(record.active for record in self._workers.values())

    def lost(self) -> int:
        """Returns how many task-started events workers must have sent that never arrived."""
        return self._lost_before + sum(record.lost for record in self._workers.values())

    def _record(self, name: WorkerName, at: int, now: float) -> WorkerRecord:
        known = self._workers.get(name)
        if known is not None:
            return known
        if len(self._workers) >= MOST_WORKERS:
            self._forget(min(self._workers.values(), key=lambda record: record.heard_at))
        of_hostname = self._by_hostname.setdefault(name.hostname, {})
        gone = [record for record in of_hostname.values() if record.state is WorkerState.GONE]
        if len(gone) >= MOST_GONE:
            self._forget(min(gone, key=lambda record: record.heard_at))
        assert name.pid is not None
        record = self._workers[name] = of_hostname[name.pid] = WorkerRecord(name, at, now, self._calls_every)
        return record

    def _there_under(self, hostname: str) -> Sequence[WorkerRecord]:
        """Returns the workers of the hostname that are online or silent."""
        of_hostname = self._by_hostname.get(hostname, {}).values()
        return [record for record in of_hostname if record.state is not WorkerState.GONE]

    def _worker(self, record: WorkerRecord) -> Worker:
        return record.worker(shared=any(_overlap(record, other) for other in self._others(record)))

    def _has_successor(self, record: WorkerRecord) -> bool:
        return any(other.heard_at > record.heard_at for other in self._others(record))

    def _others(self, record: WorkerRecord) -> Sequence[WorkerRecord]:
        """Returns the other processes of its hostname."""
        of_hostname = self._by_hostname[record.name.hostname]
        if len(of_hostname) == 1:
            return ()
        return [other for other in of_hostname.values() if other is not record]

    def _forget(self, record: WorkerRecord) -> None:
        del self._workers[record.name]
        of_hostname = self._by_hostname[record.name.hostname]
        assert record.name.pid is not None
        del of_hostname[record.name.pid]
        if not of_hostname:
            del self._by_hostname[record.name.hostname]
            self.tries.pop(record.name.hostname, None)
        self._lost_before += record.lost


def _overlap(one: WorkerRecord, other: WorkerRecord) -> bool:
    """Whether both are online, and each was heard after the other was there: so they run at the same time.

    One that was killed is online for three beats more, beside the one that was started in its place.
    """
    return (
        one.state is other.state is WorkerState.ONLINE
        and one.heard_at > other.known_at
        and other.heard_at > one.known_at
    )
