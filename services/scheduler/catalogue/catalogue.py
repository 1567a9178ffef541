"""The use cases of schedules: create, change, pause, resume, delete, trigger. Each is one transaction."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Collection

import structlog

from services.kernel.celery_publisher import SlotEnded
from services.kernel.database import Database
from services.kernel.errors import Conflict, NotFound
from services.kernel.identity import current_subject
from services.kernel.once import Once
from services.kernel.request_ids import current_request_id
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.batches import Batch, written
from services.scheduler.dispatch.decide import IN_TIME
from services.scheduler.dispatch.delivery import FAULTS, Delivery
from services.scheduler.schedule.definition import Definition, Overlap, Run, RunState, Schedule
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.names import run_name
from services.scheduler.schedule.rows import check_readable, kept_columns
from services.scheduler.schedule.store_requests import RequestStore

log = structlog.get_logger(__name__)

# A caller does not wait longer for a broker that hangs: the run is recorded, and is sent when it answers.
BROKER_SECONDS = 5.0
# How the reason of a triggered run begins.
TRIGGERED = "triggered by "


class Catalogue:
    """The schedules of a platform."""

    def __init__(self, database: Database, delivery: Delivery) -> None:
        self._database = database
        self._delivery = delivery

    async def created_by(self, schedule_id: str, once: Once | None) -> Schedule | None:
        """Returns the schedule that this very request has created, in its present state.

        None if the request has had no effect yet. Raises `NotFound` if that schedule was deleted, also if
        there is a later one of its id, and `Invalid` if the request id is another request's.
        """
        if once is None:
            return None
        async with self._database.reading() as connection:
            made = await RequestStore(connection).made_at(once)
            return None if made is None else await _made_then(ScheduleStore(connection), schedule_id, made)

    async def create(self, definition: Definition, once: Once | None) -> Schedule:
        """Creates a schedule. A repeated request gets the schedule in its present state, as by `created_by`.

        Raises `AlreadyExists`, and `Invalid` if the id is another request's.
        """
        async with self._database.transaction() as connection:
            store, requests = ScheduleStore(connection), RequestStore(connection)
            if once is not None and not await requests.is_first(once):
                made = await requests.made_at(once)
                return await (_made_then(store, definition.id, made) if made else store.get(definition.id))
            await store.sign(current_subject())
            due = None if definition.is_never_due(0) else definition.plan.next_due(await store.now())
            return await store.create(definition, due)

    async def change(
        self,
        schedule_id: str,
        etag: str,
        change: Callable[[Definition, dt.datetime], Definition],
        fields: Collection[str] = (),
        parts: Collection[str] = (),
    ) -> Schedule:
        """Applies a change to the current version, and returns the schedule.

        When the timing, its bounds or the pause change, the next due time is found anew from now on, so that
        nothing of the past is sent. Any other change keeps it; so does one that came within the last minute.

        `fields`: the fields of the contract that the change sets. Columns of other fields that can't be read
        stay as they are stored. `parts`: those of them of which the change sets only a part. Raises
        `NotFound`; `Conflict` when `etag` is not that of the current version (an empty one fits any); and
        `FailedPrecondition` when a field of `parts` can't be read.
        """
        async with self._database.transaction() as connection:
            store = ScheduleStore(connection)
            current = await self._current(store, schedule_id, etag)
            check_readable(current, *parts)
            now = await store.now()
            wanted = change(current.definition, now)
            if wanted == current.definition and not current.faults.keys() & set(fields):
                return current
            kept = kept_columns(current.faults, frozenset(fields))
            await store.sign(current_subject())
            return await store.change(wanted, due_after_change(current, wanted, now), kept)

    async def pause(self, schedule_id: str, note: str) -> Schedule:
        return await self.change(
            schedule_id, "", lambda found, _: dataclasses.replace(found, paused=True, pause_note=note)
        )

    async def resume(self, schedule_id: str) -> Schedule:
        return await self.change(
            schedule_id, "", lambda found, _: dataclasses.replace(found, paused=False, pause_note="")
        )

    async def delete(self, schedule_id: str, etag: str) -> None:
        """Raises `NotFound`, and `Conflict` when `etag` is not empty and not of the current version."""
        async with self._database.transaction() as connection:
            store = ScheduleStore(connection)
            await self._current(store, schedule_id, etag)
            await store.delete(schedule_id)

    async def trigger(self, schedule_id: str, actor: str, once: Once | None) -> Run:
        """Records a run for now, then publishes it. While the broker is away it stays pending.

        A repeated request gets the run that the first one made, in its present state. Raises `NotFound`,
        `FailedPrecondition` when the task can't be read, and `Invalid` for the id of another request.
        """
        slot, call_id = await self._delivery.slot(), current_request_id()
        async with self._database.transaction() as connection:
            store = ScheduleStore(connection)
            schedule = await store.get(schedule_id, for_change=True)
            check_readable(schedule, "task")
            first = await RequestStore(connection).is_first(once)
            if made := await store.run_made_by(schedule_id, once):
                return made
            if not first:
                raise _run_is_gone(schedule_id)
            now = await store.now()
            run = Run(schedule_id, now, RunState.PENDING, f"{TRIGGERED}{actor}")
            own = schedule.task_namespace, schedule.version
            run = run._replace(task_namespace=own[0], schedule_version=own[1])
            exclusive = schedule.definition.overlap is not Overlap.ALLOW
            key = await store.add_run(run, once, exclusive=exclusive, call_id=call_id)
        name = run_name(schedule_id, run.due_at)
        log.info("run.triggered", schedule=schedule_id, run=name, task_id=run.task_id)
        template = MessageTemplate(schedule.definition.task)
        pending = written(
            schedule_id, template, run.due_at, now, namespace=run.task_namespace, call_id=call_id
        )
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                await self._delivery.publish([Batch(key, [pending])], slot)
            async with self._database.reading() as connection:
                # Read again: the broker may have refused it, or its schedule may have been deleted.
                return await ScheduleStore(connection).run(schedule_id, run.due_at) or run
        except (*FAULTS, SlotEnded, TimeoutError):
            return run

    async def _current(self, store: ScheduleStore, schedule_id: str, etag: str) -> Schedule:
        current = await store.get(schedule_id, for_change=True)
        if etag and etag != current.etag:
            raise Conflict(f"schedules/{schedule_id}", current.etag)
        return current


def _run_is_gone(schedule_id: str) -> NotFound:
    name = f"schedules/{schedule_id}"
    text = f"the run of {name!r} that this request_id triggered is no longer kept; send another id"
    return NotFound("run", name, text)


def due_after_change(current: Schedule, wanted: Definition, now: dt.datetime) -> dt.datetime | None:
    """Returns the next due time after a change of the definition (see `Catalogue.change`)."""
    before, due = current.definition, current.next_due_at
    if wanted.is_never_due(current.run_count):
        return None
    if due is not None:
        retimed = (wanted.timing, wanted.bounds) != (before.timing, before.bounds)
        sent = before.plan.sent_at(before.id, due)
        if not retimed or (sent <= now <= sent + IN_TIME and wanted.bounds.allow(due)):
            return due
    return wanted.plan.next_due(now)


async def _made_then(store: ScheduleStore, schedule_id: str, made: dt.datetime) -> Schedule:
    """Returns the schedule if it was created at this time; raises `NotFound` for a later one of its id."""
    schedule = await store.get(schedule_id)
    if schedule.created_at != made:
        raise NotFound("schedule", f"schedules/{schedule_id}")
    return schedule
