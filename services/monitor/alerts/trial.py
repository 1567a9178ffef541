"""What a rule would have raised in the past, tried on the readings that were kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.monitor.alerts.judging import Ends, Fires, GoesOn, Judge
from services.monitor.alerts.rule import Rule
from services.monitor.measuring.measures import Reading

SPAN = dt.timedelta(hours=24)
MOST_SHOWN = 100
NOT_KEPT = "values of this measure are not kept, so a rule about it can't be tried on the past"
NONE_KEPT = "no value of this measure was kept in the last 24 hours"


@dataclass
class Tried:
    """A time in which the rule would have fired. `ended_at`: None if it would fire still."""

    subject: str
    fired_at: dt.datetime
    worst: float
    ended_at: dt.datetime | None = None


@dataclass
class Trial:
    """`tried`: the newest first. `since`, `until`: the times of the first and the last reading."""

    tried: list[Tried] = field(default_factory=list)
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    note: str = ""


def trial_of(rule: Rule, readings: Iterable[Reading]) -> Trial:
    """Tries the rule, as if it were not paused, on readings in the order of their times."""
    judge, trial, firing = Judge(rule), Trial(), dict[str, Tried]()
    for reading in readings:
        trial.since = trial.since or reading.time
        trial.until = reading.time
        for verdict in judge.judge(reading, firing.keys()):
            match verdict:
                case Fires(subject, _, value):
                    firing[subject] = Tried(subject, reading.time, value)
                    trial.tried.append(firing[subject])
                case GoesOn(subject, value):
                    firing[subject].worst = rule.worse(firing[subject].worst, value)
                case Ends(subject):
                    firing.pop(subject).ended_at = reading.time
    trial.tried.reverse()
    trial.note = "" if trial.since else NONE_KEPT
    return trial
