"""Sets that are sent again under their request_id: one effect, and the same answer."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import manifests_pb2 as pb
from celeriac.scheduler.v1 import manifests_pb2_grpc, schedules_pb2

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, fields_at_fault, refused
from tests.support.schedulers import Scheduler
from tests.support.sql import fetch_sync


def applied() -> pb.ApplySchedulesRequest:
    """Creates a schedule."""
    mark = uuid.uuid4().hex[:8]
    entry = {"id": f"r-{mark}", "task": "report", "every": "1d", "labels": {"team": mark}}
    return pb.ApplySchedulesRequest(manifest=json.dumps({"schedules": [entry]}), request_id=f"retry-{mark}")


def imported() -> pb.ImportSchedulesRequest:
    """Creates a schedule, and can't carry all of it over."""
    mark = uuid.uuid4().hex[:8]
    every = {"kind": "interval", "seconds": 86400, "zone": "UTC"}
    entry = {"name": f"r-{mark}", "task": "report", "schedule": every, "options": {"countdown": 3}}
    dump = {"celeriac_dump": 1, "source": "beat_schedule", "entries": [entry]}
    return pb.ImportSchedulesRequest(dump=json.dumps(dump), request_id=f"retry-{mark}")


CASES = [("ApplySchedules", applied), ("ImportSchedules", imported)]


def name_in(answer: Any) -> str:
    name: str = answer.difference.changes[0].name
    return name


@pytest.mark.parametrize(("method", "make"), CASES)
def test_a_set_that_is_sent_again_has_one_effect_and_the_same_answer(
    manifests: Any, schedules: Any, method: str, make: Any
) -> None:
    request, call = make(), getattr(manifests, method)
    first = call(request)
    assert first.difference.create_count == 1
    assert call(request) == first
    # What became of it meanwhile is no matter.
    name = name_in(first)
    schedules.DeleteSchedule(schedules_pb2.DeleteScheduleRequest(name=name))
    assert call(request) == first
    assert (
        refused(schedules.GetSchedule, schedules_pb2.GetScheduleRequest(name=name))[0]
        is grpc.StatusCode.NOT_FOUND
    )


@pytest.mark.parametrize(("method", "make"), CASES)
def test_tries_at_the_same_time_have_one_effect_and_one_answer(
    manifests: Any, method: str, make: Any
) -> None:
    request = make()
    with ThreadPoolExecutor(6) as pool:
        [first, *others] = pool.map(getattr(manifests, method), [request] * 6)
    assert first.difference.create_count == 1
    assert others == [first] * 5


@pytest.mark.parametrize(("method", "make"), CASES)
def test_a_difference_that_was_seen_is_made_once_under_its_etag(
    manifests: Any, method: str, make: Any
) -> None:
    request, call = make(), getattr(manifests, method)
    request.validate_only = True
    request.etag = call(request).difference.etag
    request.validate_only = False
    first = call(request)
    # The schedules are others by now, and the etag would be refused.
    assert call(request) == first
    request.request_id = f"{request.request_id}-2"
    assert refused(call, request)[0] is grpc.StatusCode.ABORTED


@pytest.mark.parametrize(("method", "make"), CASES)
def test_an_id_with_another_body_or_of_another_caller_is_refused_by_name(
    manifests: Any, lone_scheduler: Scheduler, tokens: LocalIssuer, method: str, make: Any
) -> None:
    first, second = make(), make()
    getattr(manifests, method)(first)
    second.request_id = first.request_id
    assert fields_at_fault(getattr(manifests, method), second) == ["request_id"]
    _, told = refused(getattr(manifests, method), second)
    assert f"request_id is {first.request_id!r}, the id of another request to {method}; for example: " in told
    stub = manifests_pb2_grpc.ManifestServiceStub(lone_scheduler.channel)
    lin = Caller(stub, tokens.mint("admin", subject="lin"))
    assert fields_at_fault(getattr(lin, method), first) == ["request_id"]


@pytest.mark.parametrize(("method", "make"), CASES)
def test_a_set_that_is_only_checked_or_refused_leaves_its_id_free(
    manifests: Any, method: str, make: Any
) -> None:
    request, call = make(), getattr(manifests, method)
    request.validate_only = True
    assert call(request).difference.create_count == 1
    request.validate_only, request.etag = False, "0" * 32
    assert refused(call, request)[0] is grpc.StatusCode.ABORTED
    request.etag = ""
    assert call(request).difference.create_count == 1


def test_an_answer_is_kept_for_a_day(manifests: Any, schedules: Any, database_url: str) -> None:
    requests = [applied(), applied()]
    for request, hours in zip(requests, (23, 25), strict=True):
        first = manifests.ApplySchedules(request)
        fetch_sync(
            database_url,
            "UPDATE celery_schedule_requests SET created_at = created_at - $2::interval"
            " WHERE request_id = $1",
            request.request_id,
            dt.timedelta(hours=hours),
        )
        again = manifests.ApplySchedules(request)
        assert (again == first) == (hours < 24)
        assert again.difference.unchanged_count == (0 if hours < 24 else 1)
