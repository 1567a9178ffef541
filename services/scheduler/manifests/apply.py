"""Applies manifests: creates, changes and removes schedules, all in one transaction."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.kernel.database import Database
from services.kernel.errors import AlreadyExists, Conflict
from services.kernel.identity import current_subject
from services.kernel.once import Once
from services.kernel.validation import Faults
from services.scheduler.catalogue.catalogue import due_after_change
from services.scheduler.manifests.difference import Change, Difference, Kind, difference
from services.scheduler.manifests.read import Wanted, read_manifest
from services.scheduler.manifests.store_apply import SetStore
from services.scheduler.manifests.take_over import Dump, Imported, read_dump
from services.scheduler.schedule.definition import Definition, Schedule
from services.scheduler.schedule.store_base import now_at
from services.scheduler.schedule.store_requests import RequestStore

ATTEMPTS = 3


@dataclass(frozen=True)
class Application:
    """How a manifest is applied.

    `prune`: a label (name, value). Schedules that have it and are not in the manifest are removed. `once`:
    the request's id, if it has one; a repeated request changes nothing, and gets the first one's answer.
    """

    validate_only: bool = False
    prune: tuple[str, str] | None = None
    etag: str = ""
    once: Once | None = None


class Sets:
    """Applies whole sets of schedules. `zone` is the time zone of schedules that name none.

    `told` writes a difference as the bytes of an answer, which are kept with the id of the request.
    """

    def __init__(self, database: Database, zone: str, told: Callable[[Difference], bytes]) -> None:
        self._database = database
        self._zone = zone
        self._told = told

    async def apply(self, manifest: str, how: Application) -> bytes:
        """Returns the difference as an answer."""
        now = await now_at(self._database)
        faults = Faults()
        # In a thread, because a large manifest takes up to a second of CPU.
        wanted = await asyncio.to_thread(read_manifest, manifest, self._zone, now, faults)
        if how.prune is not None and not faults:
            _all_carry(wanted, how.prune, faults)
        faults.raise_any()
        return await self._applied(wanted, how, _seed(manifest, how))

    async def take_over(self, dump: Dump, how: Application) -> tuple[Imported, bytes]:
        """Returns what was read from the dump, the same each time, and the difference as an answer."""
        now = await now_at(self._database)
        faults = Faults()
        imported = await asyncio.to_thread(read_dump, dump, self._zone, now, faults)
        faults.raise_any()
        seed = _seed(json.dumps([dump.text, sorted(dump.labels.items()), dump.queue]), how)
        return imported, await self._applied(imported.wanted, how, seed)

    async def _applied(self, wanted: Sequence[Wanted], how: Application, seed: str) -> bytes:
        # Someone may create a schedule with the same id in between; the next attempt changes it.
        for attempt in range(ATTEMPTS):
            try:
                return await self._applied_once(wanted, how, seed)
            except AlreadyExists:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def _applied_once(self, wanted: Sequence[Wanted], how: Application, seed: str) -> bytes:
        async with self._database.transaction() as connection:
            store, requests = SetStore(connection), RequestStore(connection)
            await store.alone()
            if (answer := await requests.answer_to(how.once)) is not None:
                return answer
            ids = [each.definition.id for each in wanted]
            stored = await store.locked(ids, how.prune)
            if how.prune is not None:
                _none_of_others(ids, stored, how.prune)
            in_set = set(ids)
            pruned = [schedule.definition.id for schedule in stored if schedule.definition.id not in in_set]
            there = {schedule.definition.id for schedule in stored}
            # Schedules that are there have etags that never come again; those that are not have none.
            marks = await store.deletions([each for each in ids if each not in there], how.prune)
            now = await store.now()
            found = await asyncio.to_thread(difference, wanted, stored, pruned, now, ",".join([seed, *marks]))
            if how.etag and how.etag != found.etag:
                raise Conflict("schedules", found.etag)
            if not how.validate_only:
                await _make(store, found, now)
            answer = await asyncio.to_thread(self._told, found)
            await requests.keep_answer(how.once, answer)
            return answer


async def _make(store: SetStore, found: Difference, now: dt.datetime) -> None:
    await store.sign(current_subject())
    await store.remove([change.id for change in found.of(Kind.REMOVE)])
    await store.create([_timed(change, now) for change in found.of(Kind.CREATE)])
    await store.change([_timed(change, now) for change in found.of(Kind.CHANGE)])


def _timed(change: Change, now: dt.datetime) -> tuple[Definition, dt.datetime | None]:
    wanted = change.wanted
    assert wanted is not None
    if change.current is not None:
        return wanted, due_after_change(change.current, wanted, now)
    return wanted, None if wanted.is_never_due(0) else wanted.plan.next_due(now)


def _all_carry(wanted: Sequence[Wanted], label: tuple[str, str], faults: Faults) -> None:
    """Refuses schedules without the prune label: they would not be removed when they leave the manifest."""
    name, value = label
    for number, each in enumerate(wanted):
        carried = each.definition.labels.get(name) == value
        fault = f"is not {value!r}, as prune_label says"
        faults.unless(carried, f"schedules[{number}].labels.{name}", fault, f"{name}: {value}")


def _none_of_others(ids: Sequence[str], stored: Sequence[Schedule], label: tuple[str, str]) -> None:
    name, value = label
    others = {
        schedule.definition.id: schedule.definition.labels[name]
        for schedule in stored
        if schedule.definition.labels.get(name, value) != value
    }
    faults = Faults()
    for number, found in enumerate(ids):
        if found in others:
            fault = f"is {found!r}, which belongs to another set: its {name} is {others[found]!r}"
            faults.add(f"schedules[{number}].id", fault, f"{value}-{found}")
    faults.raise_any()


def _seed(manifest: str, how: Application) -> str:
    return hashlib.sha256(json.dumps([manifest, how.prune]).encode()).hexdigest()
