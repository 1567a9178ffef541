"""Gaps of the events, and requests for them, as messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.monitor.v1 import system_pb2 as pb

from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import timestamp
from services.kernel.pages import Place, decode_place, invalid_page_token, is_row_number
from services.kernel.validation import Faults
from services.monitor.gaps.gap import EventGap, GapState
from services.monitor.intake.seen_gaps import GapCause

CAUSES = wire_values(pb.EventGapCause, GapCause)
STATES = wire_values(pb.EventGapState, GapState)
STATES_FROM_WIRE = from_wire(STATES)


def gap_to(gap: EventGap) -> pb.EventGap:
    return pb.EventGap(
        name=f"eventGaps/{gap.id}",
        cause=CAUSES[gap.cause],
        state=STATES[gap.state],
        start_time=timestamp(gap.started_at),
        end_time=timestamp(gap.ended_at),
        missed_count=gap.missed,
        repaired_from_results_count=gap.from_results,
        repaired_from_workers_count=gap.from_workers,
        not_repairable_count=gap.not_repairable,
        undecided_count=gap.undecided,
        note=gap.note,
        results_read=bool(gap.results_read),
        create_time=timestamp(gap.recorded_at),
        repair_time=timestamp(gap.repaired_at),
    )


def states_in(request: pb.ListEventGapsRequest) -> Sequence[GapState]:
    """Raises `Invalid`."""
    faults = Faults()
    for position, state in enumerate(request.states):
        fault = f"is {state}, not an EventGapState"
        faults.unless(state in STATES_FROM_WIRE, f"states[{position}]", fault, "EVENT_GAP_STATE_OPEN")
    faults.raise_any()
    return [STATES_FROM_WIRE[state] for state in request.states]


def place_in(token: str) -> Place | None:
    """Raises `Invalid`."""
    place = decode_place(token)
    if place is not None and not is_row_number(place[1]):
        raise invalid_page_token()
    return place
