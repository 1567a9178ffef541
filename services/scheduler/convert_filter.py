"""From a request to the schedules that it is about, where it may be about any."""

from __future__ import annotations

from typing import TypeAlias

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.validation import Faults
from services.scheduler import checks
from services.scheduler.store_listing import ScheduleFilter

Request: TypeAlias = pb.ListSchedulesRequest | pb.WatchSchedulesRequest
EXAMPLES = {"text": "vectors", "task": "rebuild_chat_vectors", "queue": "ai_analysis"}


def filter_in(request: Request, faults: Faults) -> ScheduleFilter:
    """By its text, task, queue, paused and label."""
    for name, example in EXAMPLES.items():
        faults.text(name, getattr(request, name), example, most=500, required=False)
    return ScheduleFilter(
        text=request.text,
        task=request.task,
        queue=request.queue,
        paused=request.paused if request.HasField("paused") else None,
        label=checks.label(request.label, faults, "label"),
    )
