"""Measures of the events that this monitor takes in."""

from __future__ import annotations

import time
from collections.abc import Mapping

from services.monitor.figures import RATE_SECONDS, Figures
from services.monitor.intake.intake import Intake
from services.monitor.measuring.measures import Values, whole


class EventMeasures:
    """Every monitor hears all events, so that these are the same at each but for a moment.

    Rates are left out until events have been heard for as long as a rate is an average of; those of tasks
    also while events of tasks are not collected.
    """

    def __init__(self, figures: Figures, intake: Intake) -> None:
        self._figures = figures
        self._intake = intake
        # When events of tasks were last seen not to be collected, by time.monotonic().
        self._passed_over_at = float("-inf")

    async def read(self) -> Mapping[str, Values]:
        now, found = time.monotonic(), {}
        rates = self._figures.snapshot(now, most_tasks=0)
        if not self._intake.collects:
            self._passed_over_at = now
        if self._intake.listened >= RATE_SECONDS:
            found["events_per_second"] = whole(rates.events_per_second)
            if now - self._passed_over_at >= RATE_SECONDS:
                found["succeeded_per_second"] = whole(rates.succeeded_per_second)
                found["failed_per_second"] = whole(rates.failed_per_second)
        if self._figures.listening and rates.event_lag is not None:
            # Without events nothing is behind, however late the last one was.
            found["event_lag_seconds"] = whole(rates.event_lag) if rates.events_per_second > 0 else {}
        return found
