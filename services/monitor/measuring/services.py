"""Measures of the services, by what their processes tell of themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from services.kernel import self_report
from services.kernel.database import Database
from services.monitor.measuring.measures import Values

# The measure, how it is had of what was told, and which of several processes of a service counts.
Rule = tuple[str, Callable[[float, float], float], Callable[[float, float], float]]
RULES: Mapping[str, Rule] = {
    self_report.LOOP: ("loop_failing_seconds", lambda told, now: max(0.0, now - told), max),
    self_report.OUTBOX: ("outbox_oldest_seconds", lambda told, now: max(0.0, now - told), max),
    self_report.CERTIFICATE: ("certificate_left_seconds", lambda told, now: told - now, min),
    self_report.REFUSALS: ("sign_ins_refused", lambda told, now: told, lambda one, other: one + other),
}


class ServiceMeasures:
    """The subject is the service; of loops, service and loop: "scheduler/dispatch"."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def read(self) -> Mapping[str, Values]:
        """A measure that no process tells anything of is known: nothing waits, nothing fails."""
        now = self._now()
        found: dict[str, dict[str, float]] = {rule[0]: {} for rule in RULES.values()}
        for each in await self_report.reports(self._database):
            if each.measure not in RULES:
                continue
            measure, derived, worse = RULES[each.measure]
            subject = f"{each.service}/{each.subject}" if each.subject else each.service
            value, known = derived(each.value, now), found[measure].get(subject)
            found[measure][subject] = value if known is None else worse(known, value)
        return found
