"""Which subjects' values are kept: so many of each kind that their number can't fill the disk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import structlog

from services.monitor.measuring.measures import MEASURES, Reading, Subject
from services.monitor.snapshots.store_snapshots import Name

log = structlog.get_logger(__name__)

MOST: Mapping[Subject, int] = {
    Subject.SYSTEM: 1,
    Subject.QUEUE: 200,
    Subject.TASK: 200,
    Subject.WORKER: 100,
}
# What decides where there are more. Of the whole system there is one.
WEIGHED_BY = frozenset(
    {
        "queue_length",
        "task_succeeded_per_second",
        "task_failed_per_second",
        "task_retried_per_second",
        "worker_active_tasks",
    }
)
# Of larger numbers float32 has none.
LARGEST = 3e38


class Admission:
    """Admits subjects until their number is reached; those that were admitted stay until `renew`.

    Of more subjects than there are places, the longest queues come first, the most frequent tasks, the
    workers with the most tasks.
    """

    def __init__(self) -> None:
        self._admitted: dict[Subject, set[str]] = {subject: set() for subject in MOST}
        self._left_out: dict[Subject, int] = {}

    def renew(self) -> None:
        """Forgets who was admitted; tells of those that were left out."""
        if self._left_out:
            left_out = [f"{kind.value}: {many}" for kind, many in self._left_out.items()]
            log.warning("snapshots.left_out", left_out=left_out)
        self._left_out.clear()
        for admitted in self._admitted.values():
            admitted.clear()

    def kept(self, reading: Reading) -> Mapping[Name, float]:
        """Returns the values of the reading that are kept."""
        weights: dict[Subject, dict[str, float]] = {subject: {} for subject in MOST}
        values = dict(_kept_values(reading))
        for name, value in values.items():
            of_subject = weights[MEASURES[name.measure].subject]
            weight = value if name.measure in WEIGHED_BY else 0.0
            of_subject[name.subject] = of_subject.get(name.subject, 0.0) + weight
        for kind, by_name in weights.items():
            self._admit(kind, by_name)
        return {
            name: value
            for name, value in values.items()
            if name.subject in self._admitted[MEASURES[name.measure].subject]
        }

    def _admit(self, kind: Subject, weights: Mapping[str, float]) -> None:
        admitted = self._admitted[kind]
        new = [name for name in weights if name not in admitted]
        room = MOST[kind] - len(admitted)
        if len(new) > room:
            self._left_out[kind] = max(self._left_out.get(kind, 0), len(new) - room)
            new = sorted(new, key=lambda name: (-weights[name], name))[:room]
        admitted.update(new)


def _kept_values(reading: Reading) -> Iterator[tuple[Name, float]]:
    for measure, by_subject in reading.values.items():
        known = MEASURES.get(measure)
        if known is None or not known.kept or known.subject not in MOST:
            continue
        for subject, value in by_subject.items():
            if math.isfinite(value) and abs(value) < LARGEST:
                yield Name(measure, subject), value
