"""What a request for a backfill may be: tried, sent again, refused by field."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.backfills import Hourly
from tests.support.calls import eventually, fields_at_fault, refused
from tests.support.schedules import HOUR, at

Code = grpc.StatusCode


def test_validate_only_tells_what_would_be_sent_and_sends_nothing(hourly: Hourly, schedules: Any) -> None:
    told = hourly.begin(30, validate_only=True)
    assert (told.name, told.run_count, told.state) == ("", 30, pb.BACKFILL_STATE_UNSPECIFIED)
    assert told.last_due_time == at(hourly.first + 29 * HOUR)
    answer = schedules.ListBackfills(pb.ListBackfillsRequest(parent=hourly.name))
    assert not answer.backfills
    assert not hourly.runs()


def test_a_request_that_is_sent_again_is_the_same_backfill(hourly: Hourly) -> None:
    begun = hourly.begin(5, request_id="once")
    assert hourly.begin(5, request_id="once").name == begun.name
    hourly.ended(begun)
    assert hourly.begin(5, request_id="once") == hourly.get(begun)
    eventually(lambda: hourly.sent_ids() == hourly.ids(5))


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"name": "Schedules/x"}, ["name"]),
        ({"start_time": None}, ["start_time"]),
        ({"end_time": None}, ["end_time"]),
        ({"start_time": Timestamp(seconds=2**31)}, ["end_time"]),
        ({"start_time": Timestamp(seconds=1)}, ["start_time"]),
        ({"end_time": Timestamp(seconds=2**33)}, ["end_time"]),
        ({"max_runs": -1}, ["max_runs"]),
        ({"max_runs": 10_001}, ["max_runs"]),
        ({"max_runs": 9}, ["max_runs"]),
        ({"rate": 101}, ["rate"]),
        ({"rate": 0.001}, ["rate"]),
        ({"rate": float("nan")}, ["rate"]),
        ({"order": 7}, ["order"]),
        ({"request_id": "x" * 101, "rate": -1}, ["rate", "request_id"]),
    ],
)
def test_bad_input_names_the_fields(
    hourly: Hourly, schedules: Any, fields: dict[str, Any], at_fault: list[str]
) -> None:
    request = hourly.request(10, **fields)
    assert fields_at_fault(schedules.BackfillSchedule, request) == at_fault


def test_a_window_of_more_than_there_may_be_comes_with_one_of_as_many(schedules: Any) -> None:
    minutely = pb.Schedule(
        name=f"schedules/b-{uuid.uuid4().hex[:8]}",
        task=pb.TaskSpec(task_name="report", queue="queues/elsewhere"),
        timing=pb.Timing(crontab=pb.Crontab(expression="* * * * *")),
    )
    schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=minutely))
    now = dt.datetime.now(dt.UTC)
    request = pb.BackfillScheduleRequest(name=minutely.name, max_runs=10_000, validate_only=True)
    request.start_time.FromDatetime(now - 200 * HOUR)
    request.end_time.FromDatetime(now - HOUR)
    code, told = refused(schedules.BackfillSchedule, request)
    assert code is Code.INVALID_ARGUMENT
    assert told.startswith("end_time makes a window of more than 10000 due times")
    request.end_time.FromDatetime(dt.datetime.fromisoformat(told.rpartition("for example: ")[2]))
    assert schedules.BackfillSchedule(request).backfill.run_count == 10_000


def test_other_names_and_tokens_are_refused(schedules: Any) -> None:
    calls = schedules
    for name in ("schedules/a/backfills/b", "schedules/A/backfills/0123456789abcdef", ""):
        assert fields_at_fault(calls.GetBackfill, pb.GetBackfillRequest(name=name)) == ["name"]
        assert fields_at_fault(calls.CancelBackfill, pb.CancelBackfillRequest(name=name)) == ["name"]
    unknown = "schedules/a/backfills/0123456789abcdef"
    for call, request in (
        (calls.GetBackfill, pb.GetBackfillRequest(name=unknown)),
        (calls.CancelBackfill, pb.CancelBackfillRequest(name=unknown)),
    ):
        assert refused(call, request)[0] is Code.NOT_FOUND
    strange = pb.ListBackfillsRequest(page_token="nonsense", parent="schedules/a")
    assert fields_at_fault(calls.ListBackfills, strange) == ["page_token"]
    assert fields_at_fault(calls.ListBackfills, pb.ListBackfillsRequest(parent="a")) == ["parent"]
