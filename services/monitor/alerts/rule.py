"""A rule: which values of a measure raise an alert, and when it ends."""

from __future__ import annotations

import datetime as dt
import enum
import fnmatch
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import msgspec
import orjson

from services.monitor.measuring.measures import MEASURES, Measure

ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MOST_ID = 63
# An alert ends when its value has been well for so long, unless its rule says otherwise.
USUAL_CLEAR_SECONDS = 30.0


class Comparison(enum.StrEnum):
    ABOVE = "ABOVE"
    AT_LEAST = "AT_LEAST"
    BELOW = "BELOW"
    AT_MOST = "AT_MOST"

    @property
    def is_upward(self) -> bool:
        """Whether greater values are worse."""
        return self in (Comparison.ABOVE, Comparison.AT_LEAST)

    def holds(self, value: float, threshold: float) -> bool:
        match self:
            case Comparison.ABOVE:
                return value > threshold
            case Comparison.AT_LEAST:
                return value >= threshold
            case Comparison.BELOW:
                return value < threshold
            case Comparison.AT_MOST:
                return value <= threshold


class Severity(enum.StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """Greater for what is more severe."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Rule:
    """`hold_seconds`: how long a value must be over the threshold before the alert fires.

    `clear_threshold`: the value has to come back to this one, which is on the well side of the threshold,
    before the alert may end (hysteresis); None: to the threshold. `standing`: every system has the rule;
    `changed`: somebody changed it.
    """

    id: str
    measure: str
    comparison: Comparison
    threshold: float
    severity: Severity
    description: str = ""
    hold_seconds: float = 0.0
    clear_threshold: float | None = None
    clear_seconds: float = USUAL_CLEAR_SECONDS
    subjects: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False
    runbook_url: str = ""
    standing: bool = False
    changed: bool = False
    updated_at: dt.datetime | None = None
    updated_by: str = ""

    @cached_property
    def etag(self) -> str:
        """A digest of what people set."""
        updated = self.updated_at.isoformat() if self.updated_at else ""
        told = [*self.values().values(), updated]
        return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def values(self) -> dict[str, object]:
        """What people set, as JSON values by the names of the fields; all but the id."""
        return {name: _plain(getattr(self, name)) for name in SET_BY_PEOPLE}

    @property
    def measured(self) -> Measure | None:
        """The measure; None if this version does not have it."""
        return MEASURES.get(self.measure)

    def is_about(self, subject: str) -> bool:
        return (not self.subjects or _any(self.subjects, subject)) and not _any(self.excluded, subject)

    def is_over(self, value: float) -> bool:
        """Whether the value raises the alert."""
        return self.comparison.holds(value, self.threshold)

    def is_well(self, value: float) -> bool:
        """Whether the value lets an alert end."""
        if self.is_over(value):
            return False
        if self.clear_threshold is None:
            return True
        end = self.clear_threshold
        return value <= end if self.comparison.is_upward else value >= end

    def worse(self, one: float, other: float) -> float:
        return max(one, other) if self.comparison.is_upward else min(one, other)


SET_BY_PEOPLE = (
    "measure",
    "comparison",
    "threshold",
    "severity",
    "description",
    "hold_seconds",
    "clear_threshold",
    "clear_seconds",
    "subjects",
    "excluded",
    "labels",
    "paused",
    "runbook_url",
)


def _plain(value: object) -> object:
    match value:
        case enum.Enum():
            return value.value
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value


class RuleFault(ValueError):
    """What keeps the values of a row from being a rule: it was written by hand, or by a later release."""


def rule_of(rule_id: str, values: object, **more: Any) -> Rule:
    """Makes a rule of what `Rule.values` returned. Raises `RuleFault` if it is something else."""
    if not isinstance(values, Mapping):
        raise RuleFault("it is no object")
    kept = {name: value for name, value in values.items() if name in SET_BY_PEOPLE}
    try:
        return replace(msgspec.convert({"id": rule_id, **kept}, Rule), **more)
    except (msgspec.ValidationError, OverflowError) as error:
        raise RuleFault(str(error)) from None


def matches(pattern: str, name: str) -> bool:
    """Whether the name fits the pattern, in which * stands for any characters."""
    return _compiled((pattern,)).match(name) is not None


# Patterns of rules and silences are tried on each subject at each reading: hundreds of thousands of times.
@lru_cache(maxsize=4096)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Returns what fits any of the patterns."""
    # Only the star has a meaning: names of queues may have brackets and question marks.
    plain = (re.sub(r"[\[?]", lambda found: f"[{found[0]}]", pattern) for pattern in patterns)
    return re.compile("|".join(map(fnmatch.translate, plain)))


def _any(patterns: tuple[str, ...], subject: str) -> bool:
    return bool(patterns) and _compiled(patterns).match(subject) is not None
