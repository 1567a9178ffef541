"""An alert: a subject that a rule fires for, from when it began to when it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from services.monitor.alerts.rule import Comparison, Severity
from services.monitor.alerts.words import shown
from services.monitor.measuring.measures import MEASURES, Unit


@dataclass(frozen=True, slots=True)
class Alert:
    """What the rule said when it fired stays. `version` grows with each change that readers are told of."""

    id: int
    rule: str
    subject: str
    measure: str
    comparison: Comparison
    threshold: float
    severity: Severity
    description: str
    labels: Mapping[str, str]
    runbook_url: str
    value: float
    worst: float
    last: float
    since: dt.datetime
    fired_at: dt.datetime
    ended_at: dt.datetime | None
    end_reason: str
    acknowledged_by: str
    acknowledged_at: dt.datetime | None
    acknowledge_note: str
    version: int
    silenced_until: dt.datetime | None = None
    undelivered: bool = False

    @property
    def fires(self) -> bool:
        return self.ended_at is None

    @property
    def summary(self) -> str:
        """What is measured and what it is compared with: "queue_length of 'mail' is 12, at least 10".

        Of an alert that has ended, the worst value: "… was 30 at worst, at least 10".
        """
        measure = MEASURES.get(self.measure)
        unit = measure.unit if measure else Unit.COUNT
        of = f" of {self.subject!r}" if self.subject else ""
        limit = self.comparison.value.lower().replace("_", " ")
        value = f"is {shown(self.last, unit)}" if self.fires else f"was {shown(self.worst, unit)} at worst"
        return f"{self.measure}{of} {value}, {limit} {shown(self.threshold, unit)}"
