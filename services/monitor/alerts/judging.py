"""Whether a rule fires, reading by reading. It knows no clock but the times of the readings.

1. A subject whose value is over the threshold is over it since then. After `hold_seconds` it fires.
2. One that fires and whose value is well is well since then. After `clear_seconds` it has ended. A value
   between the two thresholds neither fires anew nor ends.
3. A subject that has no value any more, while others have or could have, is gone, which counts as well.
4. While a measure is not known at all, nothing begins and nothing ends; the time does not count as over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.monitor.alerts.rule import Rule
from services.monitor.measuring.measures import Reading

# After so long without a reading, what was over the threshold before need not have been over it meanwhile.
LONGEST_BREAK = dt.timedelta(seconds=60)
WELL, GONE = "the value is well again", "nothing is measured of it any more"


@dataclass(frozen=True, slots=True)
class Fires:
    """A subject has been over the threshold for long enough."""

    subject: str
    since: dt.datetime
    value: float


@dataclass(frozen=True, slots=True)
class Ends:
    """A subject that fired has been well for long enough."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class GoesOn:
    """A subject still fires; this is its value now."""

    subject: str
    value: float


Verdict = Fires | Ends | GoesOn


class Judge:
    """One rule's memory of what is over its threshold, and of what fired and is well again."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._over_since: dict[str, dt.datetime] = {}
        self._well_since: dict[str, dt.datetime] = {}
        self._known_at: dt.datetime | None = None

    def judge(self, reading: Reading, firing: Collection[str]) -> Iterable[Verdict]:
        """Returns what has come of the reading. `firing`: the subjects that fire until now."""
        rule, now = self.rule, reading.time
        values = reading.values.get(rule.measure)
        if values is None:
            return []
        self._forget_before_a_break(now)
        for subject in [each for each in self._well_since if each not in firing]:
            del self._well_since[subject]
        here = {subject: value for subject, value in values.items() if rule.is_about(subject)}
        for subject in [each for each in self._over_since if each not in here]:
            del self._over_since[subject]
        found = [self._of_value(subject, value, subject in firing, now) for subject, value in here.items()]
        gone = [self._of_well(subject, GONE, now) for subject in firing if subject not in here]
        return [verdict for verdict in (*found, *gone) if verdict is not None]

    def _forget_before_a_break(self, now: dt.datetime) -> None:
        if self._known_at is not None and not dt.timedelta() <= now - self._known_at <= LONGEST_BREAK:
            self._over_since.clear()
            self._well_since.clear()
        self._known_at = now

    def _of_value(self, subject: str, value: float, fires: bool, now: dt.datetime) -> Verdict | None:
        rule = self.rule
        if rule.is_over(value):
            self._well_since.pop(subject, None)
            since = self._over_since.setdefault(subject, now)
            if fires:
                return GoesOn(subject, value)
            held = (now - since).total_seconds() >= rule.hold_seconds
            return Fires(subject, since, value) if held else None
        self._over_since.pop(subject, None)
        if not fires:
            return None
        if rule.is_well(value):
            return self._of_well(subject, WELL, now) or GoesOn(subject, value)
        self._well_since.pop(subject, None)
        return GoesOn(subject, value)

    def _of_well(self, subject: str, reason: str, now: dt.datetime) -> Ends | None:
        # It is kept until the subject does not fire any more: if that can't be stored, the next reading
        # says it again.
        since = self._well_since.setdefault(subject, now)
        ended = (now - since).total_seconds() >= self.rule.clear_seconds
        return Ends(subject, reason) if ended else None
