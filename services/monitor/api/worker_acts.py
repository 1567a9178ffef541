"""Reads requests for acts on workers."""

from __future__ import annotations

import re
from typing import TypeAlias

from celeriac.monitor.v1 import workers_pb2 as pb

from services.kernel.durations import span_in
from services.kernel.validation import Faults
from services.monitor.api import references
from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.workers.choosing import Chosen
from services.monitor.workers.workers import WorkerTable

MOST_COUNT, MOST_PROCESSES = 100, 1_000
DEFAULT_WAIT, MOST_WAIT = 10.0, 45.0
RATE = re.compile(r"(0|[1-9][0-9]{0,5}|1000000)(/[smh])?")

OnWorkers: TypeAlias = (
    pb.PingWorkersRequest
    | pb.GrowPoolRequest
    | pb.ShrinkPoolRequest
    | pb.AutoscalePoolRequest
    | pb.AddConsumerRequest
    | pb.CancelConsumerRequest
    | pb.RestartPoolRequest
    | pb.LimitTaskRateRequest
    | pb.ShutdownWorkersRequest
)


def chosen_in(request: OnWorkers, faults: Faults, workers: WorkerTable) -> Chosen:
    """Returns the workers that are named, or all."""
    if request.all:
        faults.unless(not request.workers, "workers", "is set, and so is all", "all: true, without workers")
        return Chosen()
    if not request.workers:
        faults.add("workers", "is empty, and all is not set", references.WORKER)
        return Chosen()
    return Chosen(references.workers_in(request, faults, workers))


def count_in(request: pb.GrowPoolRequest | pb.ShrinkPoolRequest, faults: Faults) -> int:
    fault = f"is {request.count}, it must be 1 to {MOST_COUNT}, or unset for 1"
    faults.unless(0 <= request.count <= MOST_COUNT, "count", fault, "2")
    return request.count or 1


def bounds_in(request: pb.AutoscalePoolRequest, faults: Faults) -> tuple[int, int | None]:
    """Returns the most and the fewest processes; None: the fewest stay as they are."""
    most = request.max_concurrency
    fault = f"is {most}, it must be 1 to {MOST_PROCESSES}"
    faults.unless(1 <= most <= MOST_PROCESSES, "max_concurrency", fault, "10")
    if not request.HasField("min_concurrency"):
        return most, None
    least = request.min_concurrency
    fault = f"is {least}, it must be 0 to max_concurrency"
    faults.unless(0 <= least <= most, "min_concurrency", fault, "2")
    return most, least


def queue_in(request: pb.AddConsumerRequest | pb.CancelConsumerRequest, faults: Faults) -> str:
    # Who consumes by mistake what is no queue must be able to end it.
    if isinstance(request, pb.CancelConsumerRequest):
        return references.queue_in(request.queue, "queue", faults)
    return references.used_queue_in(request.queue, "queue", faults)


def wait_in(request: pb.ShutdownWorkersRequest, faults: Faults) -> float:
    """Returns the seconds to wait."""
    span = span_in(request, "wait", faults)
    if span is None:
        return DEFAULT_WAIT
    seconds = span.total_seconds()
    fault = f"is {seconds:g} s, it must be 0 s to {MOST_WAIT:g} s"
    faults.unless(0 <= seconds <= MOST_WAIT, "wait", fault, "10s")
    return seconds


def task_name_in(request: pb.LimitTaskRateRequest, faults: Faults) -> str:
    faults.text("task_name", request.task_name, "shop.report", most=MOST_NAME)
    return request.task_name


def rate_limit_in(request: pb.LimitTaskRateRequest, faults: Faults) -> str:
    limit = request.rate_limit
    fault = f"is {limit[:100]!r}, it must be a number up to 1,000,000 with /s, /m or /h, or 0 for no limit"
    faults.unless(RATE.fullmatch(limit) is not None, "rate_limit", fault, "100/m")
    return limit
