"""Decides on runs that wait for an earlier run of their schedule to end. Every replica does so.

1. The waiting runs and their schedules are read from the table, without a lock.
2. The monitor is asked about the runs of these schedules that were sent.
3. One transaction locks the schedules, reads their runs again, decides (overlap.py), and records the changes.
4. Runs that may go are published, and tasks that their policy cancels are told to terminate.

Runs of schedules that allow overlap never begin to wait. A schedule on which our own code fails is left out
for a time (dispatch/left_out.py): its runs go on waiting, and the others are decided on.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Mapping, Sequence
from itertools import islice

import structlog

from services.kernel.celery_publisher import SlotEnded
from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.loops import Again, Backoff, Loop
from services.scheduler.dispatch.batches import Batch, PendingRun, written
from services.scheduler.dispatch.decide import unreadable
from services.scheduler.dispatch.delivery import FAULTS, Delivery
from services.scheduler.dispatch.left_out import LeftOut, OwnFault, tried
from services.scheduler.pace import USUAL, Pace
from services.scheduler.runs.monitor_client import MOST_AT_ONCE, Heard, Monitor, MonitorAway
from services.scheduler.runs.overlap import Answer, Change, LiveRun, Verdict, decide_overlap
from services.scheduler.runs.store_outcomes import OutcomeStore
from services.scheduler.runs.store_waiting import Exclusive, WaitingStore
from services.scheduler.schedule.definition import RunState
from services.scheduler.schedule.message_template import MessageTemplate

log = structlog.get_logger(__name__)

# About how many waiting runs are decided on at a time.
BATCH = 200


class Waiting:
    """Decides in a background loop. `woken` is set when a run begins to wait, or when one has ended."""

    def __init__(
        self,
        database: Database,
        monitor: Monitor,
        delivery: Delivery,
        woken: asyncio.Event,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._monitor = monitor
        self._delivery = delivery
        self._pace = pace
        # When a task was last told to terminate, by its id.
        self._cancelled: dict[str, float] = {}
        self._left_out = LeftOut(delivery.metrics, pace.left_out)
        # What the last round of decisions was told by the monitor's absence; None if the monitor answered.
        self._away: MonitorAway | None = None
        self.loop = Loop(
            "waiting",
            self._decide_again_soon,
            every=pace.waiting_idle,
            outlives=(*FAULTS, SlotEnded, OwnFault, MonitorAway),
            failed="waiting.failed",
            retry=Backoff(pace.waiting_look, pace.waiting_look),
            woken=woken,
        )

    async def _decide_again_soon(self) -> Again | None:
        """Soon, if there are runs that still wait.

        While the monitor is away, decisions are made that do not need it, and the step counts as failed.
        """
        still_wait = await self.decide()
        if self._away is not None:
            raise self._away
        return Again(self._pace.waiting_look) if still_wait else None

    async def decide(self) -> int:
        """Decides on all waiting runs. Returns the number of schedules that have some and are not left out.

        Raises `OwnFault` when our own code fails, and not on single schedules.
        """
        self._away = None
        await self._left_out.try_again(self._attempt)
        count, after = 0, None
        while True:
            began = time.monotonic()
            found, after = await self._decide_some(after)
            count += found
            if after is None:
                self._left_out.check()
                return count
            # Many runs that wait for long take at most half of this process's time.
            await asyncio.sleep(time.monotonic() - began)

    async def _decide_some(self, after: dt.datetime | None) -> tuple[int, dt.datetime | None]:
        """Decides on runs recorded after a moment.

        Returns the number of their schedules, and the moment after which there may be more.
        """
        async with self._database.connection() as connection:
            schedule_ids, more_after = await WaitingStore(connection).waiting(after, BATCH)
        ids = [each for each in schedule_ids if each not in self._left_out.schedule_ids]
        if ids:
            await self._left_out.apart(ids, self._attempt)
        return len(ids), more_after

    async def _attempt(self, schedule_ids: Sequence[str]) -> Exception | None:
        return await tried(self._decide_on(schedule_ids), (*FAULTS, SlotEnded))

    async def _decide_on(self, schedule_ids: Sequence[str]) -> None:
        async with self._database.connection() as connection:
            live = await WaitingStore(connection).live(schedule_ids)
        if not live:
            return
        slot = await self._delivery.slot()
        answer = await self._answer([run for runs in live.values() for run in runs])
        verdicts, batch = await self._apply(schedule_ids, answer)
        if batch is not None:
            await self._delivery.publish([batch], slot)
        for verdict in verdicts:
            await self._cancel(verdict.cancel)

    async def _answer(self, runs: Sequence[LiveRun]) -> Answer:
        sent = {run.task_id: run for run in runs if run.state is RunState.PUBLISHED}
        heard: dict[str, Heard] = {}
        away = ""
        task_ids = list(sent)
        try:
            for start in range(0, len(task_ids), MOST_AT_ONCE):
                heard |= await self._monitor.heard_of(task_ids[start : start + MOST_AT_ONCE])
        except MonitorAway as error:
            self._away, away = error, str(error)
            log.warning("waiting.monitor_away", error=for_log(error), runs=len(sent))
        await self._record_ended(sent, heard)
        return Answer(frozenset(sent), heard, away)

    async def _record_ended(self, sent: Mapping[str, LiveRun], heard: Mapping[str, Heard]) -> None:
        ended = [
            ((run.schedule_id, run.due_at), heard[task_id])
            for task_id, run in sent.items()
            if task_id in heard and heard[task_id].ended
        ]
        if ended:
            async with self._database.connection() as connection:
                await OutcomeStore(connection).ended(ended)

    async def _apply(self, schedule_ids: Sequence[str], answer: Answer) -> tuple[list[Verdict], Batch | None]:
        """Decides and records the changes. Returns the verdicts, and the batch to publish if any changed."""
        verdicts, pending, batch = [], [], None
        async with self._database.connection() as connection:
            store = WaitingStore(connection)
            async with store.transaction():
                schedules, now = await store.locked(schedule_ids), await store.now()
                live = await store.live([schedule.id for schedule in schedules])
                for schedule in schedules:
                    verdict = _verdict(schedule, live.get(schedule.id, []), answer, now)
                    verdicts.append(verdict)
                    for change in verdict.changes:
                        if change.state is RunState.PENDING and schedule.template is not None:
                            pending.append(_written(schedule.template, change.run, now))
                changes = [change for verdict in verdicts for change in verdict.changes]
                if changes:
                    key = await store.new_batch()
                    batch = Batch(key, pending)
                    await store.change(changes, key.id)
        for change in changes:
            due, state = change.run.due_at, change.state.value
            log.info(
                "run.decided", schedule=change.run.schedule_id, due=due, state=state, reason=change.reason
            )
        return verdicts, batch

    async def _cancel(self, runs: Sequence[LiveRun]) -> None:
        for run in runs:
            now = time.monotonic()
            if now - self._cancelled.get(run.task_id, float("-inf")) < self._pace.cancel_again:
                continue
            self._cancelled[run.task_id] = now
            for old in islice(list(self._cancelled), max(0, len(self._cancelled) - 1000)):
                del self._cancelled[old]
            try:
                await self._monitor.terminate(run.task_id)
                log.info("run.terminated", schedule=run.schedule_id, due=run.due_at, task_id=run.task_id)
            except MonitorAway as error:
                self._away = error
                log.warning("run.not_terminated", schedule=run.schedule_id, error=for_log(error))


def _written(template: MessageTemplate, run: LiveRun, now: dt.datetime) -> PendingRun:
    return written(run.schedule_id, template, run.due_at, now, namespace=run.task_namespace)


def _verdict(schedule: Exclusive, runs: Sequence[LiveRun], answer: Answer, now: dt.datetime) -> Verdict:
    if schedule.template is not None:
        return decide_overlap(schedule.overlap, schedule.time_limit, runs, answer, now)
    waiting = [run for run in runs if run.state is RunState.WAITING]
    return Verdict([Change(run, RunState.SKIPPED, unreadable(schedule.fault)) for run in waiting])
