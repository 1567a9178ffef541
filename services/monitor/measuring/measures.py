"""The measures: the values that alerts compare, and that snapshots keep for charts.

Each is taken every few seconds, for the whole system or for each of its parts (a queue, a task's name, a
worker). A value that is not known, because the broker is away or nothing has happened yet, is left out: it is
never 0.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Subject(enum.StrEnum):
    """What the values of a measure are of. Each has its subject's name; "" for the whole system."""

    SYSTEM = "system"
    QUEUE = "queue"
    TASK = "task"
    WORKER = "worker"
    COMPONENT = "component"
    DISK = "disk"
    SERVICE = "service"


class Unit(enum.StrEnum):
    COUNT = "count"
    PER_SECOND = "per second"
    SECONDS = "seconds"
    BYTES = "bytes"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class Measure:
    """`kept`: snapshots keep its values, so a rule about it can be tried against the past."""

    name: str
    subject: Subject
    unit: Unit
    meaning: str
    kept: bool = True


# Success and mean runtime are of the tasks that ended in the last so many seconds; at a monitor that was
# started later than that, since its start.
WINDOW_SECONDS = 300

# The values of one measure by the name of the subject.
Values = Mapping[str, float]


def whole(value: float) -> Values:
    """Returns the values of a measure of the whole system."""
    return {"": value}


def storable(subject: str) -> str:
    """Returns a subject as alerts and snapshots can keep it: applications may name a queue as they like.

    PostgreSQL's text has no NUL, and half of a surrogate pair has no UTF-8 form.
    """
    return subject.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at one moment, by the measure's name; without those of which nothing is known.

    A measure without any value is known: it has no subject now.
    """

    time: dt.datetime
    values: Mapping[str, Values]


def _catalogue(*measures: Measure) -> Mapping[str, Measure]:
    return {measure.name: measure for measure in measures}


_S, _Q, _T, _W = Subject.SYSTEM, Subject.QUEUE, Subject.TASK, Subject.WORKER

MEASURES = _catalogue(
    # The whole system.
    Measure("events_per_second", _S, Unit.PER_SECOND, "Events taken in, within the last 10 s"),
    Measure(
        "event_lag_seconds", _S, Unit.SECONDS, "From the making of the newest event until it was taken in"
    ),
    Measure("succeeded_per_second", _S, Unit.PER_SECOND, "Tasks that succeeded, within the last 10 s"),
    Measure("failed_per_second", _S, Unit.PER_SECOND, "Tasks that failed, within the last 10 s"),
    Measure(
        "success_percent",
        _S,
        Unit.PERCENT,
        "Of the tasks that ended in the last 5 minutes, those that succeeded",
    ),
    Measure(
        "mean_runtime_seconds", _S, Unit.SECONDS, "Mean runtime of the tries that ended in the last 5 minutes"
    ),
    Measure("active_tasks", _S, Unit.COUNT, "Tasks being run, by the count of the workers that are ONLINE"),
    Measure("waiting_messages", _S, Unit.COUNT, "Messages that wait in all queues"),
    Measure("online_workers", _S, Unit.COUNT, "Workers that are ONLINE"),
    Measure("silent_workers", _S, Unit.COUNT, "Workers of which nothing was heard for three heartbeats"),
    Measure("gaps_open", _S, Unit.COUNT, "Gaps of the events that are not repaired"),
    Measure("tasks_orphaned", _S, Unit.COUNT, "Tasks that became ORPHANED in the last 5 minutes"),
    Measure("tasks_lost", _S, Unit.COUNT, "Tasks that became LOST in the last 5 minutes"),
    Measure("runs_unheard", _S, Unit.COUNT, "Runs long due of which no worker was heard to receive the task"),
    Measure("etas_long_past", _S, Unit.COUNT, "Tasks that have not begun although their eta is long past"),
    Measure("cpu_percent", _S, Unit.PERCENT, "How busy the CPUs of the monitor's machine were"),
    Measure(
        "memory_available_bytes",
        _S,
        Unit.BYTES,
        "Memory of the monitor's machine that programs can still get",
    ),
    Measure("memory_total_bytes", _S, Unit.BYTES, "Memory of the monitor's machine", kept=False),
    Measure("load_average", _S, Unit.COUNT, "Processes that run or wait for a CPU, over 1 minute"),
    Measure("network_received_per_second", _S, Unit.PER_SECOND, "Bytes that the monitor's machine received"),
    Measure("network_sent_per_second", _S, Unit.PER_SECOND, "Bytes that the monitor's machine sent"),
    Measure(
        "broker_can_drop_tasks",
        _S,
        Unit.COUNT,
        "1 if the broker's eviction policy can drop tasks, else 0",
        kept=False,
    ),
    Measure("scheduler_late_seconds", _S, Unit.SECONDS, "For how long the most overdue run waits to be sent"),
    Measure(
        "alerts_undelivered",
        _S,
        Unit.COUNT,
        "Messages about alerts that a channel did not take, and that wait or were given up in the last day",
        kept=False,
    ),
    # Queues.
    Measure("queue_length", _Q, Unit.COUNT, "Messages that wait"),
    Measure("queue_unacknowledged", _Q, Unit.COUNT, "Messages that workers hold"),
    Measure(
        "queue_waiting_for_eta",
        _Q,
        Unit.COUNT,
        "Messages that workers hold until their time has come",
        kept=False,
    ),
    Measure(
        "queue_oldest_seconds",
        _Q,
        Unit.SECONDS,
        "How long the oldest of the next messages waits; 0 while none does",
    ),
    Measure("queue_arrivals_per_second", _Q, Unit.PER_SECOND, "Messages that came, within the last minute"),
    Measure(
        "queue_deliveries_per_second",
        _Q,
        Unit.PER_SECOND,
        "Messages that workers took, within the last minute",
    ),
    Measure("queue_consumers", _Q, Unit.COUNT, "Workers that consume it"),
    Measure("queue_unread_length", _Q, Unit.COUNT, "Messages of a queue that no worker consumes", kept=False),
    # Tasks by their registered name.
    Measure(
        "task_succeeded_per_second", _T, Unit.PER_SECOND, "Tasks that succeeded, since the reading before"
    ),
    Measure("task_failed_per_second", _T, Unit.PER_SECOND, "Tasks that failed, since the reading before"),
    Measure("task_retried_per_second", _T, Unit.PER_SECOND, "Tasks tried again, since the reading before"),
    Measure(
        "task_success_percent",
        _T,
        Unit.PERCENT,
        "Of those that ended in the last 5 minutes, those that succeeded",
    ),
    Measure(
        "task_mean_runtime_seconds",
        _T,
        Unit.SECONDS,
        "Mean runtime of those that succeeded in the last 5 minutes",
    ),
    # Workers, by their hostname.
    Measure("worker_active_tasks", _W, Unit.COUNT, "Tasks being run, by the worker's count"),
    Measure(
        "worker_skew_seconds",
        _W,
        Unit.SECONDS,
        "How far its clock is from the monitor's, in either direction",
    ),
    Measure(
        "worker_memory_bytes",
        _W,
        Unit.BYTES,
        "Resident memory with its pool; of workers on the monitor's machine",
    ),
    Measure(
        "worker_cpu_percent",
        _W,
        Unit.PERCENT,
        "CPU with its pool, 100 for one core; of workers on the monitor's machine",
    ),
    # Components, disks and services.
    Measure(
        "component_unwell", Subject.COMPONENT, Unit.COUNT, "0 healthy, 1 degraded, 2 unhealthy", kept=False
    ),
    Measure(
        "component_latency_seconds", Subject.COMPONENT, Unit.SECONDS, "How long it took to answer", kept=False
    ),
    Measure(
        "disk_used_percent",
        Subject.DISK,
        Unit.PERCENT,
        "How full a disk of the monitor's machine is",
        kept=False,
    ),
    Measure(
        "outbox_oldest_seconds",
        Subject.SERVICE,
        Unit.SECONDS,
        "Since when audit entries wait to be delivered",
        kept=False,
    ),
    Measure(
        "loop_failing_seconds",
        Subject.SERVICE,
        Unit.SECONDS,
        "For how long a loop has only failed",
        kept=False,
    ),
    Measure(
        "certificate_left_seconds",
        Subject.SERVICE,
        Unit.SECONDS,
        "Until the certificate of a service, of the gateway or in a file expires",
        kept=False,
    ),
    Measure(
        "sign_ins_refused",
        Subject.SERVICE,
        Unit.COUNT,
        "Sign-ins and tokens refused in the last 5 minutes, at a service or at the gateway",
        kept=False,
    ),
)
