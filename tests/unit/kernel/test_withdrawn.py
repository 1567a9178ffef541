"""A request with a field that the contract no longer has is refused; one with an unknown field is not."""

from __future__ import annotations

import pytest
from celeriac.monitor.v1 import tasks_pb2
from celeriac.scheduler.v1 import schedules_pb2
from google.protobuf.message import Message

from services.kernel.errors import Invalid
from services.kernel.grpc.withdrawn import refuse_withdrawn_fields

# Field 4 with a number, field 3 with a double, field 1000 with a number: as bytes on the wire.
FOUR, THREE, THOUSAND = b"\x20\x02", b"\x19" + bytes(8), b"\xc0\x3e\x01"


def parsed(kind: type[Message], raw: bytes) -> Message:
    request = kind()
    request.MergeFromString(raw)
    return request


def within(number: int, inner: bytes) -> bytes:
    """A field of the number that holds a message."""
    return bytes([number << 3 | 2, len(inner)]) + inner


def test_a_number_that_a_message_reserves_is_refused_by_message_and_number() -> None:
    with pytest.raises(Invalid) as refused:
        refuse_withdrawn_fields(parsed(tasks_pb2.ListTasksRequest, FOUR))
    [fault] = refused.value.faults
    assert fault.field == "4"
    assert "celeriac.monitor.v1.ListTasksRequest no longer has" in fault.fault


def test_it_is_found_in_messages_within() -> None:
    solar = within(5, THREE)
    schedule = within(3, solar)
    for kind, raw, field in (
        (schedules_pb2.CreateScheduleRequest, within(1, schedule), "schedule.timing.solar.3"),
        (schedules_pb2.PreviewTimesRequest, within(2, solar), "timing.solar.3"),
    ):
        with pytest.raises(Invalid) as refused:
            refuse_withdrawn_fields(parsed(kind, raw))
        assert [fault.field for fault in refused.value.faults] == [field]


def test_a_number_that_was_never_used_is_ignored() -> None:
    refuse_withdrawn_fields(parsed(tasks_pb2.ListTasksRequest, THOUSAND))
    refuse_withdrawn_fields(parsed(tasks_pb2.GetTaskRequest, FOUR))
