"""Readings of measures as a system of a given size has them: some values stand still, others move."""

from __future__ import annotations

import datetime as dt
import math
import random
from dataclasses import dataclass

from services.monitor.measuring.measures import MEASURES, Reading, Subject, Unit


@dataclass(frozen=True)
class Size:
    """How many queues, names of tasks, and workers there are."""

    queues: int
    names: int
    workers: int

    def subjects(self, kind: Subject) -> list[str]:
        return {
            Subject.SYSTEM: [""],
            Subject.QUEUE: [f"queue-{number}" for number in range(self.queues)],
            Subject.TASK: [f"app.tasks.task_{number}" for number in range(self.names)],
            Subject.WORKER: [f"celery@worker-{number}" for number in range(self.workers)],
        }.get(kind, [])


class Readings:
    """Random walks, always the same ones; a third of all series stands still at 0."""

    def __init__(self, size: Size) -> None:
        self._random = random.Random(5)
        self._series = [
            (name, measure.unit, subject, self._random.random() < 1 / 3)
            for name, measure in MEASURES.items()
            if measure.kept
            for subject in size.subjects(measure.subject)
        ]
        self._at = [self._random.uniform(0, 20) for _ in self._series]

    def __len__(self) -> int:
        return len(self._series)

    def at(self, moment: dt.datetime) -> Reading:
        values: dict[str, dict[str, float]] = {}
        for place, (name, unit, subject, still) in enumerate(self._series):
            value = 0.0 if still else self._next(place, unit)
            values.setdefault(name, {})[subject] = value
        return Reading(moment, values)

    def _next(self, place: int, unit: Unit) -> float:
        at = self._at[place] = max(0.0, self._at[place] + self._random.gauss(0, 0.5))
        if unit is Unit.COUNT:
            return math.floor(at)
        if unit is Unit.PER_SECOND:
            # A whole number of tasks in 10 s.
            return round(at * 10) / 10
        return at * 1e8 if unit is Unit.BYTES else at
