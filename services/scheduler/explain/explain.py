"""Explains why a schedule did or did not run: its due times, what was decided on each, and what came of it.

1. One transaction reads the schedule, its history and its runs.
2. The due times of the window are computed from what the schedule was at each of them.
3. The monitor is asked about the tasks, the queues and the workers. If it does not answer, that is told, and
   all that the scheduler knows by itself is told too.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.delivery import FAULTS
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.turns import Turns
from services.scheduler.explain.condition import State, condition_of
from services.scheduler.explain.decision import (
    Facts,
    Verdict,
    about_the_clock,
    decision_on_run,
    decision_without_run,
)
from services.scheduler.explain.due_times import DueTime, DueTimes
from services.scheduler.explain.history import History, Revision
from services.scheduler.explain.stage import (
    Known,
    Progress,
    QueueSituation,
    ended_as_heard,
    progress_of,
    situation_of,
)
from services.scheduler.explain.store_history import HistoryStore, RecordedRun
from services.scheduler.explain.words import moment
from services.scheduler.runs.monitor_client import Heard, Monitor, MonitorAway, QueueSeen, WorkerSeen
from services.scheduler.schedule.definition import Run, RunState, Schedule

# How long the broker may take to answer.
BROKER_SECONDS = 2.0
# How far back the last due time before an empty window is looked for.
LOOKED_BACK = dt.timedelta(days=366)
Answer = TypeVar("Answer")


class Window(NamedTuple):
    """Due times from `start` to `end`, both included, of which the newest `most` are explained."""

    start: dt.datetime
    end: dt.datetime
    most: int


@dataclass(frozen=True)
class Explained:
    """A due time. `run` is None if it has none of its own, `progress` unless the run was published."""

    due: dt.datetime
    verdict: Verdict
    run: Run | None
    queue: str
    progress: Progress | None


@dataclass(frozen=True)
class Explanation:
    schedule: Schedule
    window: Window
    state: State
    # The newest first. `older_left_out`: the window has more, before these.
    due_times: Sequence[Explained]
    older_left_out: bool
    # Those in the window and since, the newest first.
    edits: Sequence[Revision]
    queues: Sequence[QueueSituation]
    known_from: dt.datetime | None
    monitor_fault: str


class _Read(NamedTuple):
    schedule: Schedule
    history: History
    # Those of the window, one more than are explained, and those before, the newest first.
    runs: Sequence[RecordedRun]


class Explanations:
    """Explains schedules."""

    def __init__(
        self,
        database: Database,
        monitor: Monitor,
        dispatcher: Dispatcher,
        ping: Callable[[], Awaitable[object]],
        turns: Turns,
        retention: Callable[[], dt.timedelta],
        sends: Callable[[], bool],
    ) -> None:
        """`ping` asks the broker for a sign of life. `retention`: how long runs are kept; `sends`: whether
        they are sent at all."""
        self._sends = sends
        self._database = database
        self._monitor = monitor
        self._dispatcher = dispatcher
        self._ping = ping
        self._turns = turns
        self._retention = retention

    async def explain(self, schedule_id: str, window: Window, now: dt.datetime) -> Explanation:
        """Raises `NotFound`."""
        read = await self._read(schedule_id, window)
        found = DueTimes(read.history, window.start, window.end, window.most + 1)
        await self._turns.run(found.steps())
        runs = {each.run.due_at: each.run for each in read.runs if each.run.due_at >= window.start}
        computed = {each.due: each for each in found.found}
        newest = sorted(runs.keys() | computed.keys(), reverse=True)
        shown = newest[: window.most]
        queues = {due: _queue_of(runs[due], read) for due in shown if due in runs}
        known = await self._known(
            [runs[due] for due in queues], {*queues.values(), read.schedule.definition.task.queue}
        )
        facts = await self._facts(read, [runs[due] for due in queues], now)
        explained = [
            _explained(due, runs.get(due), computed.get(due), queues.get(due, ""), facts, known)
            for due in shown
        ]
        state = condition_of(read.schedule, read.history, now)
        if not shown:
            state = state._replace(summary=f"{state.summary} {_nothing_due(read, window)}")
        return Explanation(
            schedule=read.schedule,
            window=window,
            state=state,
            due_times=explained,
            older_left_out=len(newest) > window.most,
            edits=[each for each in read.history.revisions if each.kind and each.since >= window.start],
            queues=list(known.queues.values()),
            known_from=read.history.known_from,
            monitor_fault=known.fault,
        )

    async def _read(self, schedule_id: str, window: Window) -> _Read:
        async with self._database.reading() as connection:
            schedule = await ScheduleStore(connection).get(schedule_id)
            store = HistoryStore(connection)
            history = await store.history(schedule_id, window.start)
            runs = await store.runs(schedule_id, window.end, window.most + 2)
        return _Read(schedule, history, runs)

    async def _facts(self, read: _Read, runs: Sequence[Run], now: dt.datetime) -> Facts:
        waits_for_broker = any(run.state is RunState.PENDING for run in runs)
        return Facts(
            schedule=read.schedule,
            history=read.history,
            runs=read.runs,
            now=now,
            kept_from=now - self._retention(),
            left_out=self._dispatcher.leaves_out(read.schedule.definition.id),
            dispatch_fails=any(each.failures_in_a_row or each.late for each in self._dispatcher.heartbeats),
            broker_answers=await self._broker_answers() if waits_for_broker else None,
            sends=self._sends(),
        )

    async def _broker_answers(self) -> bool:
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                await self._ping()
        except FAULTS:
            return False
        return True

    async def _known(self, runs: Sequence[Run], queues: set[str]) -> Known:
        """Asks the monitor for all at once. What it does not tell is missing, and `fault` says so."""
        published = [run.task_id for run in runs if run.state is RunState.PUBLISHED]
        tasks, seen, workers = await asyncio.gather(
            _asked(self._monitor.heard_of(published), dict[str, Heard]()),
            _asked(self._monitor.queues(), list[QueueSeen]()),
            _asked(self._monitor.workers(), list[WorkerSeen]()),
        )
        faults = dict.fromkeys(fault for _, fault in (tasks, seen, workers) if fault)
        return Known(
            tasks[0],
            {name: situation_of(name, seen[0], workers[0]) for name in sorted(queues)},
            {worker.name: worker for worker in workers[0]},
            "; ".join(faults),
            self._sends(),
        )


async def _asked(question: Awaitable[Answer], otherwise: Answer) -> tuple[Answer, str]:
    try:
        return await question, ""
    except MonitorAway as error:
        return otherwise, str(error)


def _queue_of(run: Run, read: _Read) -> str:
    """Returns the queue that its message is, or would be, sent to: as the schedule was at that moment."""
    recorded = next(each.recorded_at for each in read.runs if each.run == run)
    revision = read.history.at(run.published_at or recorded)
    return revision.queue if revision else read.schedule.definition.task.queue


def _explained(
    due: dt.datetime, run: Run | None, due_time: DueTime | None, queue: str, facts: Facts, known: Known
) -> Explained:
    if run is None:
        assert due_time is not None, "a due time is computed, or has a run"
        verdict, progress = decision_without_run(due_time, facts), None
    else:
        verdict, progress = decision_on_run(run, facts), None
        if run.state is RunState.PUBLISHED:
            heard = known.tasks.get(run.task_id)
            progress = progress_of(run, queue, known)
            queue, run = (heard.queue if heard else "") or queue, ended_as_heard(run, heard)
    if due_time is not None:
        verdict = verdict._replace(reason=verdict.reason + about_the_clock(due_time))
    return Explained(due, verdict, run, queue if run else "", progress)


def _nothing_due(read: _Read, window: Window) -> str:
    created = read.schedule.created_at
    if created > window.end:
        return f"It was created later, at {moment(created)}."
    if created > window.start:
        return f"It is new: it was created at {moment(created)}, and has not been due since."
    text = f"It had no due time from {moment(window.start)} to {moment(window.end)}"
    newest = read.history.revisions[0] if read.history.revisions else None
    if newest is None or newest.plan is None:
        return f"{text}."
    first = newest.plan.next_due(window.start - LOOKED_BACK)
    if first is None or first > window.start:
        return f"{text}."
    last = newest.plan.last_due(first, window.start)
    return f"{text}; by its present timing, the one before was {moment(last)}."
