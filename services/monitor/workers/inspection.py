"""What a worker tells of itself when it is asked, as values of the domain.

Any program that reaches the broker can answer in a worker's place, so each value is checked, and each list
is bounded. A count beside a list tells how many entries there were.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.monitor.tasks.names import WorkerName

Value = TypeVar("Value")


class Part(enum.Enum):
    """What a worker is asked for; celeriac.monitor.v1.WorkerPart has the meaning of each."""

    POOL = "pool"
    QUEUES = "queues"
    REGISTERED_TASKS = "registered tasks"
    ACTIVE_TASKS = "active tasks"
    RESERVED_TASKS = "reserved tasks"
    SCHEDULED_TASKS = "scheduled tasks"
    CONFIGURATION = "configuration"
    PROCESSES = "processes"


class NotTold(Exception):
    """A part that could not be had. The text says why."""


@dataclass(frozen=True)
class Autoscale:
    """The bounds of a pool that changes its size by itself."""

    most: int
    least: int


@dataclass(frozen=True)
class Pool:
    """`kind`: "prefork". `concurrency`: how many tasks at once. `prefetch`: 0 is without a bound.

    `pids`: of the processes of a prefork pool. `max_tasks_per_child`: 0 is without a bound. The time limits
    are in seconds; None: there is none.
    """

    kind: str
    concurrency: int
    pids: tuple[int, ...] = ()
    prefetch: int = 0
    autoscale: Autoscale | None = None
    max_tasks_per_child: int = 0
    soft_time_limit: float | None = None
    time_limit: float | None = None


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of CPU that a process says it has used itself, without its children."""

    user: float
    system: float


@dataclass(frozen=True)
class Stats:
    """The answer to `stats`. `uptime` in seconds; `processed`: how many of each task."""

    pid: int
    pool: Pool | None
    uptime: float | None
    processed: Mapping[str, int]
    cpu: CpuTimes | None


@dataclass(frozen=True)
class QueueOfWorker:
    """A queue that a worker consumes. `options`: those that are set, each as JSON."""

    name: str
    exchange: str
    exchange_type: str
    routing_key: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class TaskOfWorker:
    """A task that a worker has.

    `started_at`: None as long as it waits. `pid`: of the process that runs it.
    """

    id: str
    name: str
    args: str
    kwargs: str
    queue: str = ""
    started_at: dt.datetime | None = None
    eta: dt.datetime | None = None
    pid: int | None = None
    acknowledged: bool = False
    redelivered: bool = False
    priority: int = 0


@dataclass(frozen=True)
class Use:
    """Memory and CPU of one process. `cpu_percent`: 100 is one whole core."""

    pid: int
    main: bool
    memory: int
    cpu_seconds: float
    cpu_percent: float
    started_at: dt.datetime


@dataclass(frozen=True)
class Some(Generic[Value]):
    """The first of many, and how many there are."""

    values: tuple[Value, ...] = ()
    count: int = 0


@dataclass
class Inspection:
    """What a worker answered. `unknown`: why a part is not there."""

    worker: WorkerName
    asked_at: dt.datetime
    stats: Stats | None = None
    queues: Some[QueueOfWorker] = field(default_factory=Some)
    registered: Some[str] = field(default_factory=Some)
    active: Some[TaskOfWorker] = field(default_factory=Some)
    reserved: Some[TaskOfWorker] = field(default_factory=Some)
    scheduled: Some[TaskOfWorker] = field(default_factory=Some)
    configuration: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[Use, ...] = ()
    unknown: dict[Part, str] = field(default_factory=dict)
