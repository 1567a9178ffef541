"""The live configuration: settings in force, and the revisions that they came from. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.kernel.config_wire import COLLECTION, FIELDS
from services.kernel.errors import NotFound
from services.kernel.live_keys import KEYS, AnyKey, ConfigType, Value, key_named, shown
from services.kernel.sealing import Sealed
from services.kernel.validation import Faults


class Change(StrEnum):
    SET = "set"
    RESET = "reset"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Revision:
    """One stored change of one key. If not `is_set`, it put the default in force, or removed the secret."""

    number: int
    key: str
    change: Change
    is_set: bool
    # The value as JSON in clear text, or encrypted in `sealed`; never both.
    value: Any
    sealed: Sealed | None
    # The key's previous revision.
    previous: int | None
    rolled_back_to: int | None
    actor: str
    comment: str
    created_at: dt.datetime | None = None
    # The value of the previous revision, as JSON in clear text; None if it was not set or is sensitive.
    old_value: Any = None

    @property
    def sensitive(self) -> bool:
        key = key_named(self.key)
        return self.sealed is not None or (key is not None and key.sensitive)

    @property
    def belongs_to(self) -> str:
        """The text that the ciphertext is bound to. If it changed, no stored secret could be decrypted."""
        return f"config/{self.key}, revision {self.number}"


@dataclass(frozen=True)
class Stored:
    """The stored row of a key that was set or reset at least once. `value` is JSON."""

    key: str
    is_set: bool
    value: Any
    revision: int
    updated_at: dt.datetime
    updated_by: str


@dataclass(frozen=True)
class Place:
    """A place in the sequence of revisions: after the revision of that number.

    `origin`: the database and its timeline. After a restore or a failover, the same numbers may belong to
    other revisions.
    """

    origin: str
    revision: int


@dataclass(frozen=True)
class Setting:
    """A key and what is in force for it. `value` is None for a sensitive key, whatever is set."""

    key: AnyKey
    value: Value | None
    is_set: bool = False
    revision: int = 0
    updated_at: dt.datetime | None = None
    updated_by: str = ""

    @property
    def etag(self) -> str:
        """The revision and its time: after a backup was restored, revision numbers come a second time."""
        if self.updated_at is None:
            return str(self.revision)
        return f"{self.revision}-{round(self.updated_at.timestamp() * 1_000_000):x}"

    @property
    def exists(self) -> bool:
        """Whether the setting exists: a secret that is not set does not."""
        return self.is_set or self.key.default is not None


def declared(name: str) -> AnyKey:
    """Returns the key of that name. Raises `NotFound`."""
    key = key_named(name)
    if key is None:
        raise NotFound("config", f"{COLLECTION}{name}")
    return key


def setting_of(key: AnyKey, stored: Stored | None) -> Setting:
    """Returns the setting in force. A stored value that is no longer valid is replaced by the default."""
    if stored is None:
        return Setting(key, key.default)
    value = from_json(key, stored.value) if stored.is_set and not key.sensitive else None
    if value is None or key.fault_of(value):
        value = key.default
    return Setting(key, value, stored.is_set, stored.revision, stored.updated_at, stored.updated_by)


def all_settings(stored: Sequence[Stored]) -> list[Setting]:
    """Returns the settings that exist, ordered by name. Rows of undeclared keys are left out."""
    rows = {one.key: one for one in stored}
    keys = [key for name in {*KEYS, *rows} if (key := key_named(name)) is not None]
    settings = [setting_of(key, rows.get(key.name)) for key in sorted(keys, key=lambda key: key.name)]
    return [setting for setting in settings if setting.exists]


def check_value(key: AnyKey, value: Value) -> None:
    """Raises `Invalid` with the field, the fault and an example of a valid value."""
    faults, fault = Faults(), key.fault_of(value)
    if fault:
        faults.add(f"value.{FIELDS[key.type]}", fault, example_of(key))
    faults.raise_any()


def example_of(key: AnyKey) -> str:
    """Returns a valid value in the JSON of the REST API."""
    match key.default:
        case dt.timedelta() as span:
            example = f'"{shown(span)}"'
        case bool() as flag:
            example = str(flag).lower()
        case int() | float() as number:
            example = str(number)
        case text:
            example = f'"{text or "correct horse battery staple"}"'
    return f'{{"{FIELDS[key.type]}": {example}}}'


def to_json(value: Value) -> bool | int | float | str:
    return value.total_seconds() if isinstance(value, dt.timedelta) else value


def from_json(key: AnyKey, value: Any) -> Value | None:
    """Returns None when the JSON can't be converted: written by SQL, or the key's type has changed.

    Bool, int and text are returned as they are; `fault_of` checks that they are of the key's type.
    """
    if key.type in (ConfigType.DURATION, ConfigType.FLOAT):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            return dt.timedelta(seconds=value) if key.type is ConfigType.DURATION else float(value)
        except OverflowError:
            return None
    return value if isinstance(value, bool | int | str) else None


def value_at(revision: Revision, which: str = "value") -> Value | None:
    """Returns the `value` or `old_value` of a revision; None if it is sensitive, not set, or undeclared."""
    key: AnyKey | None = key_named(revision.key)
    value = getattr(revision, which)
    return None if key is None or key.sensitive else from_json(key, value)
