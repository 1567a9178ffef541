"""Reads what lists, watches and exports are asked for: filters of schedules and runs, and orders of lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from celeriac.scheduler.v1 import manifests_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.grpc.enums import from_wire
from services.kernel.grpc.wire import window_in
from services.kernel.validation import Faults
from services.scheduler.api import convert
from services.scheduler.catalogue.store_listing import RunFilter, ScheduleFilter
from services.scheduler.schedule import checks

Request: TypeAlias = pb.ListSchedulesRequest | pb.WatchSchedulesRequest | manifests_pb2.ExportSchedulesRequest
Value = TypeVar("Value")
Member = TypeVar("Member")

MOST_VALUES, MOST_LABELS = 100, 20
NAME, NEXT_RUN_TIME = "name", "next_run_time"
OUTCOMES_FROM_WIRE = from_wire(convert.OUTCOMES)


def schedules_in(request: Request, faults: Faults) -> ScheduleFilter:
    """Returns the filter by task names, queues and labels, and by text and paused, which exports lack."""
    text, paused = "", None
    if not isinstance(request, manifests_pb2.ExportSchedulesRequest):
        text = request.text
        paused = request.paused if request.HasField("paused") else None
    faults.text("text", text, "vectors", most=500, required=False)
    return ScheduleFilter(
        text=text,
        task_names=_each(request, "task_names", _task_name, MOST_VALUES, '["shop.report"]', faults),
        queues=_each(request, "queues", checks.queue, MOST_VALUES, '["queues/ai_analysis"]', faults),
        paused=paused,
        labels=_each(request, "labels", checks.label, MOST_LABELS, '["team=growth"]', faults),
    )


def is_by_next_run(order_by: str, faults: Faults) -> bool:
    """Returns whether schedules are listed by what runs next, and not by name."""
    wanted = order_by.strip()
    fault = f"is {order_by[:100]!r}, not one of {NAME!r}, {NEXT_RUN_TIME!r}"
    faults.unless(wanted in {"", NAME, NEXT_RUN_TIME}, "order_by", fault, NEXT_RUN_TIME)
    return wanted == NEXT_RUN_TIME


def runs_in(request: pb.ListRunsRequest, faults: Faults) -> RunFilter:
    """Returns the filter by parent, states, outcomes and window of due times."""
    start, end = window_in(request, faults)
    return RunFilter(
        schedule_id=checks.schedule_id(request.parent, faults, "parent") if request.parent else "",
        states=_members(request.states, convert.STATES_FROM_WIRE, "states", pb.RunState, faults),
        outcomes=_members(request.outcomes, OUTCOMES_FROM_WIRE, "outcomes", pb.RunOutcome, faults),
        start=start and checks.moment(start, faults, "start_time", checks.FOR_EVER),
        end=end and checks.moment(end, faults, "end_time", checks.FOR_EVER),
    )


def _each(
    request: Request,
    field: str,
    read: Callable[[str, Faults, str], Value],
    most: int,
    example: str,
    faults: Faults,
) -> tuple[Value, ...]:
    """Returns the values of a repeated filter, each once and in order, so that equal filters are equal."""
    texts: list[str] = list(getattr(request, field))
    fault = f"has {len(texts)} values, at most {most} are allowed"
    if not faults.unless(len(texts) <= most, field, fault, example):
        return ()
    return tuple(read(text, faults, f"{field}[{texts.index(text)}]") for text in sorted(set(texts)))


def _task_name(text: str, faults: Faults, field: str) -> str:
    faults.text(field, text, "shop.report", most=500)
    return text


def _members(
    numbers: Iterable[int], known: Mapping[int, Member], field: str, wire: Any, faults: Faults
) -> frozenset[Member]:
    """Returns the members of the enum that the numbers stand for."""
    strange = next((number for number in numbers if number not in known), None)
    if strange is not None:
        shown = wire.Name(strange) if strange in wire.values() else strange
        names = [wire.Name(number) for number in known]
        faults.add(field, f"has {shown}, not one of {', '.join(names)}", names[-1])
    return frozenset(known[number] for number in numbers if number in known)
