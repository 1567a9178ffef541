"""The live configuration as it is: settings in force, and the revisions that they came of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.kernel.config_keys import KEYS, AnyKey, ConfigType, Value, key_named, shown
from services.kernel.config_wire import FIELDS
from services.kernel.errors import NotFound
from services.kernel.validation import Faults
from services.scheduler.config.encryption import Sealed


class Change(StrEnum):
    SET = "set"
    RESET = "reset"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Revision:
    """One change of one key, as it is kept. Not set: the default, or no secret."""

    number: int
    key: str
    change: Change
    is_set: bool
    # As JSON, in clear or sealed: never both.
    value: Any
    sealed: Sealed | None
    # The key's revision before it.
    previous: int | None
    rolled_back_to: int | None
    actor: str
    comment: str
    created_at: dt.datetime | None = None
    # That of the revision before it, in clear, as JSON; None where it was not set, or is sensitive.
    old_value: Any = None

    @property
    def sensitive(self) -> bool:
        key = key_named(self.key)
        return self.sealed is not None or (key is not None and key.sensitive)

    @property
    def belongs_to(self) -> str:
        """What its ciphertext is bound to."""
        return f"config/{self.key}, revision {self.number}"


@dataclass(frozen=True)
class Stored:
    """What is in force for a key that somebody has set or reset."""

    key: str
    is_set: bool
    value: Any
    revision: int
    updated_at: dt.datetime
    updated_by: str


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
        return str(self.revision)

    @property
    def exists(self) -> bool:
        """A secret that is not set does not."""
        return self.is_set or self.key.default is not None


def declared(name: str) -> AnyKey:
    """The key of that name; raises `NotFound`."""
    key = key_named(name)
    if key is None:
        raise NotFound("config", f"config/{name}")
    return key


def setting_of(key: AnyKey, stored: Stored | None) -> Setting:
    """What an older version stored, and is no longer within bounds, is not in force: the default is."""
    if stored is None:
        return Setting(key, key.default)
    value = from_json(key, stored.value) if stored.is_set and not key.sensitive else None
    if value is None or key.fault_of(value):
        value = key.default
    return Setting(key, value, stored.is_set, stored.revision, stored.updated_at, stored.updated_by)


def all_settings(stored: Sequence[Stored]) -> list[Setting]:
    """Every declared key and every secret that is set, by name. Rows of other keys are left out."""
    rows = {one.key: one for one in stored}
    keys = [key for name in {*KEYS, *rows} if (key := key_named(name)) is not None]
    settings = [setting_of(key, rows.get(key.name)) for key in sorted(keys, key=lambda key: key.name)]
    return [setting for setting in settings if setting.exists]


def check_value(key: AnyKey, value: Value) -> None:
    """Raises `Invalid` with the field, the fault and a value that would have been right."""
    faults, fault = Faults(), key.fault_of(value)
    if fault:
        faults.add(f"value.{FIELDS[key.type]}", fault, example_of(key))
    faults.raise_any()


def example_of(key: AnyKey) -> str:
    """A value as REST has it."""
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
    """None when it is none of the key's type: somebody wrote it by SQL, or the type was another once."""
    if key.type in (ConfigType.DURATION, ConfigType.FLOAT):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return dt.timedelta(seconds=value) if key.type is ConfigType.DURATION else float(value)
    return value if isinstance(value, bool | int | str) else None


def value_at(revision: Revision, which: str = "value") -> Value | None:
    """The clear value of a revision ("value", "old_value"); None where there is none to show."""
    key: AnyKey | None = key_named(revision.key)
    value = getattr(revision, which)
    return None if key is None or key.sensitive else from_json(key, value)
