"""Tasks, by the totals of all monitors: the same at each of them, and they never run backwards.

The number of labels is bounded where tasks are counted: 200 queues, kinds (name and queue) and exceptions as
`totals/kinds.py` says; those beyond are "other". A task whose sender sends no task-sent events may be counted
under the queue "unknown", and one whose receipt was missed under the name "unknown".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily

from services.kernel.exposition import Family, HistogramFamily
from services.monitor.exposing.families import Told
from services.monitor.totals import tally
from services.monitor.totals.kinds import kind_of
from services.monitor.totals.tally import DURATION_BOUNDS
from services.monitor.totals.totals import Totals

UNKNOWN = "unknown"
Key = TypeVar("Key")


def _queue(label: str) -> Sequence[str]:
    return (label or UNKNOWN,)


def _queue_and_part(key: tuple[str, str]) -> Sequence[str]:
    return (key[0] or UNKNOWN, key[1])


def _kind(label: str) -> Sequence[str]:
    kind = kind_of(label)
    return (kind.name or UNKNOWN, kind.queue or UNKNOWN)


def _kind_and_part(key: tuple[str, str]) -> Sequence[str]:
    return (*_kind(key[0]), key[1] or UNKNOWN)


class TaskMetrics:
    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._counters = [
            (
                tally.TASKS,
                _counter(
                    "celery_tasks",
                    "Tasks by queue and the state they came into",
                    ["queue", "status"],
                    _queue_and_part,
                ),
            ),
            (
                tally.KINDS,
                _counter(
                    "celery_tasks_by_name",
                    "Tasks by registered name, queue, and the state they came into",
                    ["name", "queue", "status"],
                    _kind_and_part,
                ),
            ),
            (
                tally.KIND_FAILURES,
                _counter(
                    "celery_task_failures",
                    "Tasks that failed, by the type of the exception",
                    ["name", "queue", "exception"],
                    _kind_and_part,
                ),
            ),
        ]
        self._histograms = [
            (
                tally.RUNTIMES,
                _seconds(
                    "celery_task_duration", "How long tries of tasks ran, failed ones too", ["queue"], _queue
                ),
            ),
            (
                tally.KIND_RUNTIMES,
                _seconds(
                    "celery_task_runtime", "How long tasks that succeeded ran", ["name", "queue"], _kind
                ),
            ),
            (
                tally.QUEUE_WAITS,
                _seconds(
                    "celery_task_queue_wait",
                    "From the sending of a try until a worker received it, where its sending was heard",
                    ["queue"],
                    _queue,
                ),
            ),
            (
                tally.WORKER_WAITS,
                _seconds(
                    "celery_task_worker_wait",
                    "From the receipt of a try, or its eta, until its worker started it",
                    ["queue"],
                    _queue,
                ),
            ),
        ]

    def told(self) -> Iterator[Told]:
        for figure, counter in self._counters:
            yield counter, self._totals.all(figure)
        for figure, histogram in self._histograms:
            yield histogram, self._totals.histograms(figure)


def _counter(
    name: str, documentation: str, labels: Sequence[str], labels_of: Callable[[Key], Sequence[str]]
) -> Family[Key]:
    return Family(CounterMetricFamily, name, documentation, labels, labels_of)


def _seconds(
    name: str, documentation: str, labels: Sequence[str], labels_of: Callable[[Key], Sequence[str]]
) -> HistogramFamily[Key]:
    return HistogramFamily(f"{name}_seconds", documentation, labels, labels_of, DURATION_BOUNDS)
