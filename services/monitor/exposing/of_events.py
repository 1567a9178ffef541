"""Events, gaps, and the work of this monitor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.monitor.exposing.families import Told, counter, counter_by, gauge, single
from services.monitor.figures import Figures
from services.monitor.gaps.gaps import Gaps
from services.monitor.intake.intake import Intake
from services.monitor.tasks.generations import Generations
from services.monitor.totals import tally
from services.monitor.watch.hub import Hub


class EventMetrics:
    """Events that were taken in, and those that were missed."""

    def __init__(self, figures: Figures, intake: Intake, gaps: Gaps) -> None:
        self._figures, self._totals, self._gaps = figures, intake.totals, gaps
        self._counters = [
            (tally.EVENTS, counter("celery_events", "Events taken in")),
            (tally.LOST, counter("celery_events_lost", "Events known to be lost")),
            (tally.REFUSED, counter("celery_events_refused", "Events that could not be read")),
            (tally.CUTS, counter("celery_event_stream_cuts", "Gaps in the events")),
            (tally.MISSING, counter("celery_event_messages_missing", "Lost before read")),
            (tally.GAPS, counter("celery_event_gaps", "Gaps in the events that were recorded")),
            (
                (tally.REPAIRED, tally.BY_NOTHING, ""),
                counter(
                    "celery_event_gap_tasks_not_repairable",
                    "Tasks that ended in a gap, and how is not known",
                ),
            ),
        ]
        self._repaired = counter_by(
            "celery_event_gap_tasks_repaired", "Tasks put right after a gap, by what told", "source"
        )
        self._up = gauge("celery_event_stream_up", "1 while events are heard")
        self._lag = gauge(
            "celery_event_lag_seconds", "From the making of the newest event until it was taken in"
        )
        self._open = gauge("celery_event_gaps_open", "Gaps that are not repaired yet")

    def told(self) -> Iterator[Told]:
        for key, family in self._counters:
            yield from single(family, self._totals.of(key))
        sources = (tally.BY_RESULTS, tally.BY_WORKERS)
        yield (
            self._repaired,
            {(source,): self._totals.of((tally.REPAIRED, source, "")) for source in sources},
        )
        yield from single(self._up, int(self._figures.listening))
        yield from single(self._lag, self._figures.event_lag)
        yield from single(self._open, self._gaps.open)


class OwnMetrics:
    """The work of this monitor alone."""

    def __init__(self, figures: Figures, intake: Intake, generations: Generations, hub: Hub[Any]) -> None:
        self._figures, self._intake, self._generations, self._hub = figures, intake, generations, hub
        self._dropped = counter_by(
            "celeriac_monitor_generations_dropped", "Generations of tasks, by the reason", "reason"
        )
        self._bytes = gauge("celeriac_monitor_tasks_bytes", "Bytes of stored tasks")
        self._writes = gauge("celeriac_monitor_writes", "1 for the one that writes")
        self._watchers = gauge("celeriac_monitor_watchers", "Readers of WatchEvents")
        self._skipped = counter("celeriac_monitor_skipped", "Task changes left out of WatchEvents")
        self._waiting = gauge("celeriac_monitor_tasks_waiting", "Tasks to be written")
        self._lost = counter("celeriac_monitor_tasks_dropped", "Tasks never written")
        self._rows = counter("celeriac_monitor_rows_written", "Rows written")

    def told(self) -> Iterator[Told]:
        figures, hub = self._figures, self._hub
        yield self._dropped, {(reason,): count for reason, count in self._generations.dropped.items()}
        yield from single(self._bytes, self._generations.bytes)
        yield from single(self._writes, int(self._intake.writes))
        yield from single(self._watchers, hub.readers)
        yield from single(self._skipped, hub.left_out_total)
        yield from single(self._waiting, figures.tasks_waiting)
        yield from single(self._lost, figures.tasks_dropped)
        yield from single(self._rows, figures.rows_written)
