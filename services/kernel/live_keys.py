"""The live configuration: all its keys, with their types, bounds and defaults.

They are declared here, not in the scheduler, which stores the values: each service needs the defaults of its
keys before it has reached the scheduler. A key is here only if a service acts on its changes while it runs.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from services import SERVICES
from services.kernel.durations import MILLISECOND, not_whole

Value: TypeAlias = bool | int | float | str | dt.timedelta
ValueType = TypeVar("ValueType", bool, int, float, str, dt.timedelta)

MOST_TEXT = 8192
SECRETS = "secrets."
SECRET_NAME = re.compile(r"secrets\.[a-z0-9][a-z0-9_.-]{0,99}")


class ConfigType(Enum):
    """The type of a key's values; `PYTHON_TYPES` has the type in Python."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STRING = "string"
    DURATION = "duration"
    ENUM = "enum"


PYTHON_TYPES: dict[ConfigType, type] = {
    ConfigType.BOOL: bool,
    ConfigType.INT: int,
    ConfigType.FLOAT: float,
    ConfigType.STRING: str,
    ConfigType.DURATION: dt.timedelta,
    ConfigType.ENUM: str,
}


@dataclass(frozen=True)
class Key(Generic[ValueType]):
    """A declared key. Bounds are inclusive; for a text, `maximum` is the most characters that it may have.

    `default` is None for secrets only: a secret has no value until somebody sets one.
    """

    name: str
    type: ConfigType
    default: ValueType | None
    description: str
    used_by: Sequence[str] = ()
    unit: str = ""
    minimum: ValueType | None = None
    maximum: ValueType | int | None = None
    choices: Sequence[str] = ()
    sensitive: bool = False

    def fault_of(self, value: Value) -> str:
        """Returns what is wrong with the value, "" if nothing is. A sensitive value is never quoted."""
        if type(value) is not PYTHON_TYPES[self.type]:
            return f"is not of the type {self.type.value}"
        match value:
            case str():
                return self._fault_of_text(value)
            case float() if not math.isfinite(value):
                return "is not a finite number"
            case bool():
                return ""
            case dt.timedelta() if value % MILLISECOND:
                return not_whole(Decimal(shown(value).removesuffix("s")))
            case _:
                return self._fault_of_bounds(value)

    def _fault_of_text(self, text: str) -> str:
        most = self.maximum if isinstance(self.maximum, int) else MOST_TEXT
        if self.type is ConfigType.ENUM:
            known = text in self.choices
            return "" if known else f"is {text[:100]!r}, not one of {', '.join(self.choices)}"
        if "\0" in text:
            return "has a NUL character"
        return f"has {len(text)} characters, at most {most} are allowed" if len(text) > most else ""

    def _fault_of_bounds(self, value: Value) -> str:
        low, high = self.minimum, self.maximum
        # The bounds have the type of the value, which mypy can't know.
        if low is not None and value < low:  # type: ignore[operator]
            return f"is {shown(value)}, it must be at least {shown(low)}"
        if high is not None and value > high:  # type: ignore[operator]
            return f"is {shown(value)}, it must be at most {shown(high)}"
        return ""


def shown(value: Value) -> str:
    """Returns the value as a text; a duration in seconds ("90s"), as in the JSON of a Duration."""
    if not isinstance(value, dt.timedelta):
        return str(value)
    # All digits: the JSON of a Duration has no exponent.
    return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


LOG_LEVEL = Key(
    "logging.level",
    ConfigType.ENUM,
    "AS_STARTED",
    "How much the services log. AS_STARTED: as CELERY_LOG_LEVEL said when each was started.",
    used_by=SERVICES,
    choices=("AS_STARTED", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
)
RUNS_RETENTION = Key(
    "scheduler.runs.retention",
    ConfigType.DURATION,
    dt.timedelta(days=90),
    "How long runs are kept after they were due, or backfilled. Those that still wait to be published stay.",
    used_by=("scheduler",),
    minimum=dt.timedelta(hours=1),
    maximum=dt.timedelta(days=3650),
)
SENDS_RUNS = Key(
    "scheduler.sends_runs",
    ConfigType.BOOL,
    True,
    "Whether runs are sent to the broker. While they are not, they are recorded when they are due, and wait"
    " as they do while the broker is away. SystemService.Drain sets it to false, and Resume to true.",
    used_by=("scheduler",),
)
CHANGES_RETENTION = Key(
    "scheduler.changes.retention",
    ConfigType.DURATION,
    dt.timedelta(hours=1),
    "How long a break of WatchSchedules may last: changes of schedules and runs are kept so long, for those"
    " who take it up again.",
    used_by=("scheduler",),
    minimum=dt.timedelta(minutes=1),
    maximum=dt.timedelta(days=7),
)
TASKS_RETENTION = Key(
    "monitor.tasks.retention",
    ConfigType.DURATION,
    dt.timedelta(days=30),
    "How long a task is kept after it was last heard of.",
    used_by=("monitor",),
    minimum=dt.timedelta(hours=1),
    maximum=dt.timedelta(days=3650),
)
ALERTS_RETENTION = Key(
    "monitor.alerts.retention",
    ConfigType.DURATION,
    dt.timedelta(days=90),
    "How long an alert is kept after it has ended.",
    used_by=("monitor",),
    minimum=dt.timedelta(hours=1),
    maximum=dt.timedelta(days=3650),
)
MOST_WAITING_TOKENS = Key(
    "embedder.online.most_waiting_tokens",
    ConfigType.INT,
    # Calls larger than a batch may take half of it: that is room for one of the greatest size (262,144).
    600_000,
    "How much may wait for the model in one embedder, half of it by calls of more than a batch. What would be"
    " more is refused at once (RESOURCE_EXHAUSTED, with the time after which to try again); a call on an"
    " empty queue never is.",
    used_by=("embedder",),
    unit="tokens",
    minimum=1024,
    maximum=100_000_000,
)
CHUNK_CHARACTERS = Key(
    "embedder.rebuild.chunk_characters",
    ConfigType.INT,
    # About 150 chat questions: a second of one core with a small model. Starting a task costs hundredths of a
    # second, and at the end of a rebuild no process works much longer than the others.
    6_000,
    "How much text a rebuild puts into one task. Less: a worker that dies loses less. More: less is spent on"
    " starting tasks.",
    used_by=("embedder",),
    unit="characters",
    minimum=1000,
    maximum=1_000_000,
)

AnyKey: TypeAlias = Key[str] | Key[int] | Key[float] | Key[bool] | Key[dt.timedelta]
KEYS: dict[str, AnyKey] = {
    key.name: key
    for key in (
        LOG_LEVEL,
        RUNS_RETENTION,
        SENDS_RUNS,
        CHANGES_RETENTION,
        TASKS_RETENTION,
        ALERTS_RETENTION,
        MOST_WAITING_TOKENS,
        CHUNK_CHARACTERS,
    )
}


def key_named(name: str) -> AnyKey | None:
    """Returns the declared key, or the key of a secret; None if no key can have this name."""
    if SECRET_NAME.fullmatch(name):
        description = "A secret of the platform's own tasks: docs/configuration.md says how they read it."
        return Key(name, ConfigType.STRING, None, description, sensitive=True, maximum=MOST_TEXT)
    return KEYS.get(name)


def keys_of(service: str) -> list[AnyKey]:
    """Returns the keys that a service follows."""
    return [key for key in KEYS.values() if service in key.used_by]
