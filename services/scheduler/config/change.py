"""The use cases of the live configuration: get, list, set, reset, roll back, reveal, rewrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.kernel.config_wire import COLLECTION
from services.kernel.database import Connection, Database
from services.kernel.errors import Conflict, FailedPrecondition, NotFound
from services.kernel.live_keys import AnyKey, Value
from services.kernel.once import Once
from services.kernel.sealing import KeyRing
from services.scheduler.config.in_force import (
    Change,
    Revision,
    Setting,
    all_settings,
    check_value,
    declared,
    from_json,
    setting_of,
    to_json,
)
from services.scheduler.config.store_config import ConfigStore
from services.scheduler.schedule.store_requests import RequestStore


@dataclass(frozen=True)
class Order:
    """What every change carries: its key, who makes it and why, and its conditions."""

    key: str
    actor: str
    comment: str = ""
    etag: str = ""
    once: Once | None = None
    validate_only: bool = False


@dataclass(frozen=True)
class _Wanted:
    """The value that a key is to get, in clear text even if it is sensitive.

    None: the key goes back to its default; a secret is removed.
    """

    change: Change
    value: Value | None
    rolled_back_to: int | None = None


class Configuration:
    """The live configuration of a platform."""

    def __init__(self, database: Database, key_ring: KeyRing) -> None:
        self._database = database
        self._key_ring = key_ring

    async def get(self, name: str) -> Setting:
        """Raises `NotFound` for an unknown key and for a secret that is not set."""
        key = declared(name)
        async with self._database.reading() as connection:
            return _existing(setting_of(key, await ConfigStore(connection).find(name)))

    async def list(self) -> Sequence[Setting]:
        """Returns all settings, ordered by name."""
        async with self._database.reading() as connection:
            return all_settings(await ConfigStore(connection).all())

    async def revisions(self, name: str, before: int | None, most: int) -> Sequence[Revision]:
        """Returns revisions below `before`, newest first; of all keys when `name` is empty."""
        if name:
            declared(name)
        async with self._database.reading() as connection:
            return await ConfigStore(connection).revisions(name, before, most)

    async def set(self, order: Order, value: Value) -> Setting:
        check_value(declared(order.key), value)
        return await self._change(order, _Wanted(Change.SET, value))

    async def reset(self, order: Order) -> Setting:
        return await self._change(order, _Wanted(Change.RESET, None))

    async def roll_back(self, order: Order, number: int) -> Setting:
        key = declared(order.key)
        revision = await self._revision(key, number)
        value = self._value_of(key, revision)
        if value is not None:
            check_value(key, value)
        return await self._change(order, _Wanted(Change.ROLLBACK, value, number))

    async def reveal(self, name: str) -> tuple[str, int]:
        """Returns a sensitive value in clear text, and the revision that set it.

        Raises `NotFound`, and `FailedPrecondition` when the key is not sensitive or decryption fails.
        """
        key = declared(name)
        if not key.sensitive:
            text = f"{COLLECTION}{name} is not sensitive: GetConfig returns its value"
            raise FailedPrecondition("CONFIG_NOT_SENSITIVE", text)
        setting = await self.get(name)
        revision = await self._revision(key, setting.revision)
        return str(self._value_of(key, revision)), setting.revision

    async def rewrap(self) -> int:
        """Re-wraps the data key of every sensitive value with the newest key; returns how many it changed.

        Older keys can then be removed from the file.
        """
        async with self._database.transaction() as connection:
            store = ConfigStore(connection)
            await store.lock()
            revisions = await store.sealed_otherwise(self._key_ring.newest)
            for revision in revisions:
                assert revision.sealed is not None
                sealed = self._key_ring.rewrap(revision.sealed, revision.belongs_to)
                await store.reseal(revision.number, sealed)
        return len(revisions)

    async def _revision(self, key: AnyKey, number: int) -> Revision:
        async with self._database.reading() as connection:
            found = await ConfigStore(connection).revision(key.name, number)
        if found is None:
            name = f"{COLLECTION}{key.name}"
            text = f"{name} has no revision {number}; ListConfigRevisions tells those that it has"
            raise NotFound("config_revision", f"{name}/revisions/{number}", text)
        return found

    def _value_of(self, key: AnyKey, revision: Revision) -> Value | None:
        if revision.sealed is not None:
            return self._key_ring.open(revision.sealed, revision.belongs_to)
        return from_json(key, revision.value) if revision.is_set else None

    async def _change(self, order: Order, wanted: _Wanted) -> Setting:
        key = declared(order.key)
        async with self._database.transaction() as connection:
            store = ConfigStore(connection)
            await store.lock()
            current = setting_of(key, await store.find(key.name))
            if await self._is_made(connection, key, order, wanted):
                return current
            if order.etag and order.etag != current.etag:
                raise Conflict(f"{COLLECTION}{key.name}", current.etag)
            if _is_so(current, wanted):
                return current
            number = await store.next_revision()
            revision = self._revision_for(key, number, current, order, wanted)
            if order.validate_only:
                return _as_wanted(current, wanted)
            await store.write(revision, order.once.request_id if order.once else None)
            return setting_of(key, await store.find(key.name))

    async def _is_made(self, connection: Connection, key: AnyKey, order: Order, wanted: _Wanted) -> bool:
        """Returns whether the request was carried out already. Raises `Invalid` if another one had its id.

        Requests are kept for a day. After that the revision shows which request it was made by.
        """
        once = order.once
        if once is None:
            return False
        first = await RequestStore(connection).is_first(once)
        made = await ConfigStore(connection).made_by(key.name, once.request_id)
        if made is None:
            return not first
        was = _Wanted(made.change, self._value_of(key, made), made.rolled_back_to)
        if (was, made.actor, made.comment) != (wanted, order.actor, order.comment):
            raise once.refusal()
        return True

    def _revision_for(
        self, key: AnyKey, number: int, current: Setting, order: Order, wanted: _Wanted
    ) -> Revision:
        clear = wanted.value is not None and not key.sensitive
        revision = Revision(
            number=number,
            key=key.name,
            change=wanted.change,
            is_set=wanted.value is not None,
            value=to_json(wanted.value) if wanted.value is not None and clear else None,
            sealed=None,
            previous=current.revision or None,
            rolled_back_to=wanted.rolled_back_to,
            actor=order.actor,
            comment=order.comment,
        )
        if wanted.value is None or clear:
            return revision
        return replace(revision, sealed=self._key_ring.seal(str(wanted.value), revision.belongs_to))


def _existing(setting: Setting) -> Setting:
    if not setting.exists:
        raise NotFound("config", f"{COLLECTION}{setting.key.name}")
    return setting


def _is_so(current: Setting, wanted: _Wanted) -> bool:
    """Returns whether the setting already has the wanted value, so that there is nothing to change.

    Never true for setting a secret: to set the same one again may be meant, and is a new revision.
    """
    if wanted.value is None:
        return not current.is_set
    return current.is_set and not current.key.sensitive and current.value == wanted.value


def _as_wanted(current: Setting, wanted: _Wanted) -> Setting:
    """Returns the setting as it would be after the change, with its present revision."""
    shown = current.key.default if wanted.value is None else wanted.value
    return replace(current, value=None if current.key.sensitive else shown, is_set=wanted.value is not None)
