"""Queues: what was read of them last, of the 200 longest ones; nothing while the broker is away."""

from __future__ import annotations

from collections.abc import Iterator

from services.monitor.exposing.families import Told, gauge_of_each
from services.monitor.exposing.newest import Newest

# By the name of the measure.
DOCUMENTED = {
    "queue_length": "Messages that wait",
    "queue_unacknowledged": "Messages that workers hold",
    "queue_waiting_for_eta": "Messages that workers hold until their time has come",
    "queue_oldest_seconds": "How long the oldest of the next messages waits; 0 while none does",
    "queue_arrivals_per_second": "Messages that came, within the last minute",
    "queue_deliveries_per_second": "Messages that workers took, within the last minute",
}


class QueueMetrics:
    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self._families = {
            measure: gauge_of_each(f"celery_{measure}", text, "queue") for measure, text in DOCUMENTED.items()
        }

    def told(self) -> Iterator[Told]:
        for measure, family in self._families.items():
            yield family, self._newest.values(measure)
