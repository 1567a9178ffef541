"""Begins backfills and sends their runs. Every replica does so.

1. When a backfill begins, its due times are stored with it.
2. Each step is one transaction: it records the next runs and moves the backfill past them.
3. After the commit the runs are published like all others, or healed if that fails.

Each backfill has an operation (services.kernel.operations), which triggers keep up to date with it. A
schedule on which our own code fails is left out for a time (dispatch/left_out.py).
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import secrets
from collections.abc import Sequence

import structlog

from services.kernel.celery_publisher import SlotEnded
from services.kernel.database import Connection, Database
from services.kernel.errors import FailedPrecondition, NotFound
from services.kernel.logged_errors import Loggable, for_log
from services.kernel.loops import Again, Loop
from services.kernel.once import Once
from services.kernel.operations import Owner, cancelled_by
from services.kernel.request_ids import current_request_id
from services.kernel.validation import Faults
from services.scheduler.backfill.backfill import MOST_RUNS, Backfill, Window, due_times, stride
from services.scheduler.backfill.store_backfills import BackfillingStore, BackfillStore, Step
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.batches import Batch, BatchKey, written
from services.scheduler.dispatch.decide import unreadable
from services.scheduler.dispatch.delivery import FAULTS, Delivery
from services.scheduler.dispatch.left_out import LeftOut, OwnFault, tried
from services.scheduler.pace import USUAL, Pace
from services.scheduler.schedule.definition import Schedule
from services.scheduler.schedule.rows import check_readable
from services.scheduler.schedule.store_requests import RequestStore

log = structlog.get_logger(__name__)

# How the reason of a backfilled run begins.
BACKFILLED = "backfilled by "
READY_AT_A_TIME = 100
# The most due times that one step reads. Those that were run meanwhile don't count towards its rate.
SLICE = 200
# The wait after a round of steps.
AGAIN_SECONDS = 0.05


class BrokerAway(Loggable):
    """Backfills are due to send, and the broker does not answer. Nothing is recorded meanwhile."""


# What passes by itself.
PASSING = (*FAULTS, SlotEnded, BrokerAway)


class Backfills:
    """The backfills of a platform; `loop` is the background loop that sends."""

    def __init__(self, database: Database, delivery: Delivery, pace: Pace = USUAL) -> None:
        self._database = database
        self._delivery = delivery
        self._woken = asyncio.Event()
        self._pace = pace
        self._left_out = LeftOut(delivery.metrics, pace.left_out)
        # Why the last round did not send all that was due; None if it did.
        self._failure: Exception | None = None
        self.loop = Loop(
            "backfills",
            self._send_in_turn,
            every=pace.backfills_look,
            outlives=(*PASSING, OwnFault),
            failed="backfill.not_looked",
            woken=self._woken,
        )
        # Gives signs of life for the operations, and cancels the backfills of those whose end is asked for.
        self.owner = Owner(database, "scheduler", stop_of_operation, pace)

    async def begin(self, window: Window, actor: str, once: Once | None, *, validate_only: bool) -> Backfill:
        """Begins a backfill of the window and returns it; with `validate_only`, returns what it would be.

        A repeated request gets the backfill that the first one began, in its present state. Raises
        `NotFound`; `FailedPrecondition` when the schedule is paused, unreadable, or has a running backfill;
        `Invalid` for too many due times or the id of another request; `Exhausted` when no turn comes.
        """
        while True:
            async with self._database.reading() as connection:
                schedule = await ScheduleStore(connection).get(window.schedule_id)
                check_readable(schedule, "timing", "task")
                await RequestStore(connection).check(once)
                made = await BackfillStore(connection).made_by(window.schedule_id, once)
            if made:
                return made
            times: list[dt.datetime] = []
            async with self._delivery.turns.long():
                found = due_times(schedule.definition.plan, window)
                await self._delivery.turns.run(map(times.append, found))
            _check_number(times, window)
            begun = await self._begin(window, schedule, times, actor, once, validate_only)
            if begun is not None:
                self._woken.set()
                return begun

    async def _begin(
        self,
        window: Window,
        read: Schedule,
        times: Sequence[dt.datetime],
        actor: str,
        once: Once | None,
        validate_only: bool,
    ) -> Backfill | None:
        """Returns None when the schedule was changed since it was read."""
        async with self._database.transaction() as connection:
            schedule = await ScheduleStore(connection).get(window.schedule_id, for_change=True)
            store = BackfillStore(connection)
            if schedule.version != read.version:
                return None
            first = await RequestStore(connection).is_first(once)
            if made := await store.made_by(window.schedule_id, once):
                return made
            if not first:
                raise _is_gone(window.schedule_id)
            _check_may_run(schedule, await store.running(window.schedule_id))
            run = await store.run_already(window.schedule_id, window.start, window.end)
            # Due times from the schedule's next one on belong to the dispatcher.
            until = schedule.next_due_at or window.end
            due = [each for each in times if each < until and each not in run]
            backfill = _proposed(window, due, actor)
            if validate_only:
                return backfill
            named = dataclasses.replace(backfill, id=secrets.token_hex(8))
            ordered = due[::-1] if window.newest_first else due
            return await store.add(named, ordered, once, current_request_id())

    async def get(self, schedule_id: str, backfill_id: str) -> Backfill:
        async with self._database.reading() as connection:
            return await _found(BackfillStore(connection), schedule_id, backfill_id)

    async def cancel(self, schedule_id: str, backfill_id: str, actor: str) -> Backfill:
        """Cancels a backfill and returns it; one that has ended stays as it is. Raises `NotFound`."""
        async with self._database.transaction() as connection:
            store = BackfillStore(connection)
            await store.cancel(schedule_id, backfill_id, cancelled_by(actor))
            return await _found(store, schedule_id, backfill_id)

    async def _send_in_turn(self) -> Again:
        """Fails when a step has failed, after all have had their turn."""
        seconds = await self.send_ready()
        self._left_out.check()
        if self._failure is not None:
            raise self._failure
        return Again(seconds, early=seconds == self._pace.backfills_idle)

    async def send_ready(self) -> float:
        """Sends the next runs of backfills that are due. Returns the seconds to wait until the next round."""
        self._failure = None
        await self._left_out.try_again(self._attempt)
        but_not = list(self._left_out.schedule_ids)
        async with self._database.connection() as connection:
            store = BackfillingStore(connection)
            seconds = await store.seconds_to_next(but_not)
            if seconds is None or seconds > 0:
                pace = self._pace
                return pace.backfills_idle if seconds is None else min(seconds, pace.backfills_look)
            ready = await store.ready(READY_AT_A_TIME, but_not)
        if await self._delivery.slot() is None:
            self._failure = BrokerAway("the broker does not answer")
            return self._pace.backfills_look
        for schedule_id in ready:
            try:
                await self._left_out.apart([schedule_id], self._attempt)
            except PASSING as error:
                # Either the runs were recorded and will be healed, and the backfill has moved past them, or
                # neither has happened.
                log.warning("backfill.step_failed", schedule=schedule_id, error=for_log(error))
                self._failure = error
        # Not zero: a backfill that another transaction has locked stays due.
        return AGAIN_SECONDS

    async def _attempt(self, schedule_ids: Sequence[str]) -> Exception | None:
        [schedule_id] = schedule_ids
        return await tried(self._step(schedule_id), PASSING)

    async def _step(self, schedule_id: str) -> None:
        slot = await self._delivery.slot()
        if slot is None:
            # Nothing is recorded while the broker is away: all of it would be sent at once later.
            raise BrokerAway("the broker does not answer")
        async with self._database.connection() as connection:
            store = BackfillingStore(connection)
            async with store.transaction():
                step = await store.locked(schedule_id, SLICE)
                if step is None:
                    return
                if step.template is None:
                    # The stored task can't be read: that is the end of the backfill.
                    await store.give_up(step, unreadable(step.fault))
                    return
                key, due = await _record(store, schedule_id, step)
        if key is not None:
            now, own, call_id = key.recorded_at, step.task_namespace, step.call_id
            runs = [
                written(
                    schedule_id,
                    step.template,
                    each,
                    now,
                    namespace=own,
                    backfilled=True,
                    call_id=call_id,
                )
                for each in due
            ]
            await self._delivery.publish([Batch(key, runs)], slot)


async def stop_of_operation(connection: Connection, operation_id: str, note: str) -> None:
    """Cancels the backfill of an operation, as CancelBackfill does."""
    await BackfillStore(connection).cancel_of_operation(operation_id, note)


async def _record(
    store: BackfillingStore, schedule_id: str, step: Step
) -> tuple[BatchKey | None, list[dt.datetime]]:
    """Records the next runs and moves the backfill past them. Returns their batch and their due times.

    The batch is None when all due times of the step have been run meanwhile.
    """
    run = await store.run_already(schedule_id, step.due)
    wanted, seconds = stride(step.rate)
    due: list[dt.datetime] = []
    handled = 0
    for each in step.due:
        if len(due) == wanted:
            break
        handled += 1
        if each not in run:
            due.append(each)
    key = await store.new_batch() if due else None
    if key is not None:
        await store.record(key.id, schedule_id, step, due, f"{BACKFILLED}{step.actor}")
    await store.move_on(step, handled, len(due), seconds if due else 0.0)
    return key, due


def _check_number(times: Sequence[dt.datetime], window: Window) -> None:
    faults = Faults()
    if len(times) > window.most < MOST_RUNS:
        fault = f"is {window.most}, and the window has more due times: a shorter one has less"
        faults.add("max_runs", fault, str(MOST_RUNS))
    elif len(times) > window.most:
        fault = f"makes a window of more than {MOST_RUNS} due times; a shorter one has less"
        faults.add("end_time", fault, times[MOST_RUNS].isoformat())
    faults.raise_any()


def _check_may_run(schedule: Schedule, running: Backfill | None) -> None:
    name = f"schedules/{schedule.definition.id}"
    if schedule.definition.paused:
        raise FailedPrecondition("SCHEDULE_PAUSED", f"{name!r} is paused; resume it first")
    if running is not None:
        other = f"{name}/backfills/{running.id}"
        raise FailedPrecondition("BACKFILL_RUNNING", f"{other!r} is under way; let it end, or cancel it")


def _is_gone(schedule_id: str) -> NotFound:
    name = f"schedules/{schedule_id}"
    text = f"the backfill of {name!r} that this request_id began is no longer kept; send another id"
    return NotFound("backfill", name, text)


def _proposed(window: Window, due: Sequence[dt.datetime], actor: str) -> Backfill:
    return Backfill(
        schedule_id=window.schedule_id,
        start=window.start,
        end=window.end,
        rate=window.rate,
        newest_first=window.newest_first,
        run_count=len(due),
        first=due[0] if due else None,
        last=due[-1] if due else None,
        actor=actor,
    )


async def _found(store: BackfillStore, schedule_id: str, backfill_id: str) -> Backfill:
    found = await store.find(schedule_id, backfill_id)
    if found is None:
        raise NotFound("backfill", f"schedules/{schedule_id}/backfills/{backfill_id}")
    return found
