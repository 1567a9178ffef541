from __future__ import annotations

from enum import Enum

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.grpc.enums import from_wire, wire_values


class Course(Enum):
    DONE = "any value"
    CANCELLED = 7


class Strange(Enum):
    EXPLODED = "exploded"


def test_a_member_gets_the_value_of_its_name() -> None:
    assert wire_values(pb.BackfillState, Course) == {
        Course.DONE: pb.BACKFILL_STATE_DONE,
        Course.CANCELLED: pb.BACKFILL_STATE_CANCELLED,
    }


def test_a_text_gets_the_value_of_its_upper_case() -> None:
    assert wire_values(pb.SolarEvent, ["solar_noon"]) == {"solar_noon": pb.SOLAR_EVENT_SOLAR_NOON}


def test_a_member_that_the_contract_lacks_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="BACKFILL_STATE_EXPLODED"):
        wire_values(pb.BackfillState, Strange)


def test_a_number_leads_back_to_its_member() -> None:
    values = wire_values(pb.BackfillState, Course)
    assert from_wire(values) == {
        int(pb.BACKFILL_STATE_DONE): Course.DONE,
        int(pb.BACKFILL_STATE_CANCELLED): Course.CANCELLED,
    }
