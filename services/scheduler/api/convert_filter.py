"""Reads the filters of requests that list or watch schedules, or list runs."""

from __future__ import annotations

from typing import TypeAlias

from celeriac.monitor.v1.tasks_pb2 import TaskState
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.grpc.wire import window_in
from services.kernel.validation import Faults
from services.scheduler.api import convert
from services.scheduler.catalogue.store_listing import RunFilter, ScheduleFilter
from services.scheduler.schedule import checks

Request: TypeAlias = pb.ListSchedulesRequest | pb.WatchSchedulesRequest
EXAMPLES = {"text": "vectors", "task": "rebuild_chat_vectors", "queue": "ai_analysis"}


def filter_in(request: Request, faults: Faults) -> ScheduleFilter:
    """Returns the filter by text, task, queue, paused and label."""
    for name, example in EXAMPLES.items():
        faults.text(name, getattr(request, name), example, most=500, required=False)
    return ScheduleFilter(
        text=request.text,
        task=request.task,
        queue=request.queue,
        paused=request.paused if request.HasField("paused") else None,
        label=checks.label(request.label, faults, "label"),
    )


def runs_in(request: pb.ListRunsRequest, faults: Faults) -> RunFilter:
    """Returns the filter by parent, state, outcomes and window of due times."""
    known = request.state == 0 or request.state in convert.STATES_FROM_WIRE
    faults.unless(known, "state", f"is {request.state}, not a RunState", "RUN_STATE_SKIPPED")
    start, end = window_in(request, faults)
    return RunFilter(
        schedule_id=checks.schedule_id(request.parent, faults, "parent") if request.parent else "",
        state=convert.STATES_FROM_WIRE.get(request.state),
        outcomes=_outcomes(request, faults),
        start=start and checks.moment(start, faults, "start_time", checks.FOR_EVER),
        end=end and checks.moment(end, faults, "end_time", checks.FOR_EVER),
    )


def _outcomes(request: pb.ListRunsRequest, faults: Faults) -> frozenset[str]:
    """Refuses states in which no task ends: no run ever has one of them as its outcome."""
    known = convert.OUTCOMES_FROM_WIRE
    strange = next((number for number in request.outcomes if number not in known), None)
    if strange is not None:
        shown = TaskState.Name(strange) if strange in TaskState.values() else strange
        names = ", ".join(map(TaskState.Name, known))
        fault = f"has {shown}, in which no task ends: that is one of {names}"
        faults.add("outcomes", fault, "TASK_STATE_FAILURE")
    return frozenset(known[number] for number in request.outcomes if number in known)
