"""A silence: nobody is told of some alerts until a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.monitor.alerts.alert import Alert
from services.monitor.alerts.rule import matches


@dataclass(frozen=True, slots=True)
class Silence:
    """`rule`, `subject_pattern`: empty for any. `labels`: an alert must have all of them."""

    rule: str
    subject_pattern: str
    labels: Mapping[str, str]
    until: dt.datetime
    reason: str = ""
    created_by: str = ""
    created_at: dt.datetime | None = None
    id: int = 0

    def is_about(self, alert: Alert) -> bool:
        return (
            self.rule in ("", alert.rule)
            and (not self.subject_pattern or matches(self.subject_pattern, alert.subject))
            and has_labels(alert.labels, self.labels)
        )


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether all that are wanted are among the labels."""
    return wanted.items() <= labels.items()


def silenced(alert: Alert, silences: Iterable[Silence]) -> Alert:
    """Returns the alert with the time until which nobody is told of it. `silences`: those that hold now."""
    ends = [silence.until for silence in silences if silence.is_about(alert)]
    return replace(alert, silenced_until=max(ends, default=None))
