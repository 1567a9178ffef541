"""The alerts that fire, and messages about them that nobody took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from services.monitor.alerts.board import Board
from services.monitor.exposing.families import Told, gauge, gauge_by, single
from services.monitor.exposing.newest import Newest

# Of more rules, those with the most alerts are told.
MOST_RULES = 200


class AlertMetrics:
    def __init__(self, board: Board, newest: Newest) -> None:
        self._board, self._newest = board, newest
        self._firing = gauge_by("celeriac_alerts_firing", "Alerts that fire, by rule", "rule", "severity")
        self._undelivered = gauge(
            "celeriac_alerts_undelivered",
            "Messages about alerts of the last day that a channel did not take",
        )

    def told(self) -> Iterator[Told]:
        firing = Counter((alert.rule, alert.severity.value) for alert in self._board.firing)
        yield self._firing, dict(firing.most_common(MOST_RULES))
        yield from single(self._undelivered, self._newest.value("alerts_undelivered"))
