"""A request that is sent again under its id has one effect, and the answer tells of that one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.backfills import Hourly
from tests.support.calls import Caller, fields_at_fault, refused
from tests.support.schedulers import Scheduler
from tests.support.schedules import CRONTAB, HOUR, ONCE, at, create, schedule_of
from tests.support.sql import fetch_sync

Code = grpc.StatusCode
SIDE_BY_SIDE = 8


def new_id() -> str:
    return f"retry-{uuid.uuid4().hex}"


def creation(**fields: Any) -> pb.CreateScheduleRequest:
    return pb.CreateScheduleRequest(schedule=schedule_of(CRONTAB, labels={"b": "1", "a": "2"}), **fields)


def all_at_once(call: Callable[[Any], Any], request: Any) -> list[Any]:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(call, [request] * SIDE_BY_SIDE))


def test_a_creation_that_is_sent_again_is_answered_with_the_schedule_as_it_is(schedules: Any) -> None:
    request = creation(request_id=new_id())
    created = schedules.CreateSchedule(request)
    assert schedules.CreateSchedule(request) == created
    paused = schedules.PauseSchedule(pb.PauseScheduleRequest(name=created.schedule.name)).schedule
    assert schedules.CreateSchedule(request).schedule == paused


def test_a_creation_without_an_id_or_with_another_one_finds_the_name_taken(schedules: Any) -> None:
    request = creation(request_id=new_id())
    schedules.CreateSchedule(request)
    for request.request_id in ("", new_id()):
        assert refused(schedules.CreateSchedule, request)[0] is Code.ALREADY_EXISTS


def test_a_schedule_that_was_deleted_is_not_created_again_by_a_retry(schedules: Any) -> None:
    request = creation(request_id=new_id())
    name = schedules.CreateSchedule(request).schedule.name
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
    assert refused(schedules.CreateSchedule, request)[0] is Code.NOT_FOUND
    assert refused(schedules.GetSchedule, pb.GetScheduleRequest(name=name))[0] is Code.NOT_FOUND


def test_a_creation_that_failed_may_be_tried_again_under_its_id(schedules: Any) -> None:
    taken = create(schedules, schedule_of(ONCE))
    request = creation(request_id=new_id())
    request.schedule.name = taken.name
    assert refused(schedules.CreateSchedule, request)[0] is Code.ALREADY_EXISTS
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=taken.name))
    assert schedules.CreateSchedule(request).schedule.timing == request.schedule.timing


def test_tries_of_one_creation_at_the_same_time_create_it_once(schedules: Any) -> None:
    request = creation(request_id=new_id())
    [created, *others] = all_at_once(schedules.CreateSchedule, request)
    assert others == [created] * (SIDE_BY_SIDE - 1)


def test_tries_of_one_trigger_at_the_same_time_run_it_once(schedules: Any, lone_scheduler: Scheduler) -> None:
    name = create(schedules, schedule_of(CRONTAB)).name
    answers = all_at_once(
        schedules.TriggerSchedule, pb.TriggerScheduleRequest(name=name, request_id=new_id())
    )
    [run] = lone_scheduler.runs(name)
    assert {answer.run.task for answer in answers} == {run.task}


def test_tries_of_one_backfill_at_the_same_time_begin_it_once(hourly: Hourly, schedules: Any) -> None:
    answers = all_at_once(schedules.BackfillSchedule, hourly.request(5, request_id=new_id()))
    [backfill] = schedules.ListBackfills(pb.ListBackfillsRequest(parent=hourly.name)).backfills
    assert {answer.backfill.name for answer in answers} == {backfill.name}


def test_an_id_with_another_body_is_refused_by_name(schedules: Any, hourly: Hourly) -> None:
    request = creation(request_id=new_id())
    schedules.CreateSchedule(request)
    request.schedule.description = "another"
    assert fields_at_fault(schedules.CreateSchedule, request) == ["request_id"]

    first = hourly.request(5, request_id=new_id())
    schedules.BackfillSchedule(first)
    for fields in ({"rate": 3}, {"end_time": at(hourly.first + HOUR)}, {"max_runs": 7}, {"order": 2}):
        other = hourly.request(5, **{"request_id": first.request_id, **fields})
        assert fields_at_fault(schedules.BackfillSchedule, other) == ["request_id"]


def test_an_id_of_another_callers_is_refused_by_name(
    schedules: Any, lone_scheduler: Scheduler, tokens: LocalIssuer
) -> None:
    lin = Caller(
        schedules_pb2_grpc.ScheduleServiceStub(lone_scheduler.channel), tokens.mint("admin", subject="lin")
    )
    name = create(schedules, schedule_of(CRONTAB)).name
    request = pb.TriggerScheduleRequest(name=name, request_id=new_id())
    schedules.TriggerSchedule(request)
    assert fields_at_fault(lin.TriggerSchedule, request) == ["request_id"]
    assert len(lone_scheduler.runs(name)) == 1


def test_a_backfill_that_is_only_checked_leaves_its_id_free(hourly: Hourly) -> None:
    request_id = new_id()
    assert hourly.begin(5, request_id=request_id, validate_only=True).name == ""
    begun = hourly.begin(5, request_id=request_id)
    # A schedule has one backfill at a time, also where the next is only checked.
    hourly.ended(begun)
    assert hourly.begin(6, request_id=request_id, validate_only=True).name == ""


def test_ids_of_one_schedule_or_method_are_free_for_another(schedules: Any) -> None:
    request_id = new_id()
    names = [schedules.CreateSchedule(creation(request_id=request_id)).schedule.name for _ in range(2)]
    request = [pb.TriggerScheduleRequest(name=name, request_id=request_id) for name in names]
    assert len({schedules.TriggerSchedule(each).run.task for each in request}) == 2


@pytest.fixture
def aged(database_url: str) -> Callable[[str, dt.timedelta], None]:
    """Makes a request of that id older, and the schedule that it created."""
    of_schedules = """
        UPDATE celery_schedules SET created_at = created_at - $2::interval
        WHERE created_at IN (SELECT created_at FROM celery_schedule_requests WHERE request_id = $1)
    """
    of_requests = """
        UPDATE celery_schedule_requests SET created_at = created_at - $2::interval WHERE request_id = $1
    """

    def age(request_id: str, by: dt.timedelta) -> None:
        for statement in (of_schedules, of_requests):
            fetch_sync(database_url, statement, request_id, by)

    return age


def test_an_id_is_known_for_a_day(
    schedules: Any, aged: Callable[[str, dt.timedelta], None], database_url: str
) -> None:
    requests = [creation(request_id=new_id()) for _ in range(2)]
    for request, by in zip(requests, (23 * HOUR, 25 * HOUR), strict=True):
        schedules.CreateSchedule(request)
        aged(request.request_id, by)
    assert schedules.CreateSchedule(requests[0]).schedule.name == requests[0].schedule.name
    assert refused(schedules.CreateSchedule, requests[1])[0] is Code.ALREADY_EXISTS


def test_the_id_of_a_run_or_a_backfill_is_known_as_long_as_that_is_kept(
    schedules: Any, hourly: Hourly, aged: Callable[[str, dt.timedelta], None]
) -> None:
    request = pb.TriggerScheduleRequest(name=hourly.name, request_id=new_id())
    backfill = hourly.request(5, request_id=new_id())
    run, begun = schedules.TriggerSchedule(request).run, schedules.BackfillSchedule(backfill).backfill
    for each in (request, backfill):
        aged(each.request_id, 25 * HOUR)
    assert schedules.TriggerSchedule(request).run.task == run.task
    assert schedules.BackfillSchedule(backfill).backfill.name == begun.name
    aged(backfill.request_id, 25 * HOUR)
    other = hourly.request(6, request_id=backfill.request_id)
    assert fields_at_fault(schedules.BackfillSchedule, other) == ["request_id"]


def test_an_old_id_is_still_refused_with_another_body_or_from_another_caller(
    schedules: Any,
    hourly: Hourly,
    aged: Callable[[str, dt.timedelta], None],
    lone_scheduler: Scheduler,
    tokens: LocalIssuer,
) -> None:
    """Also with another max_runs, which no backfill keeps."""
    lin = Caller(
        schedules_pb2_grpc.ScheduleServiceStub(lone_scheduler.channel), tokens.mint("admin", subject="lin")
    )
    trigger = pb.TriggerScheduleRequest(name=hourly.name, request_id=new_id())
    backfill = hourly.request(5, request_id=new_id(), max_runs=50)
    schedules.TriggerSchedule(trigger)
    schedules.BackfillSchedule(backfill)
    for stub, method, request in (
        (lin, "TriggerSchedule", trigger),
        (lin, "BackfillSchedule", backfill),
        (schedules, "BackfillSchedule", hourly.request(5, request_id=backfill.request_id, max_runs=60)),
    ):
        aged(trigger.request_id, 25 * HOUR)
        aged(backfill.request_id, 25 * HOUR)
        assert fields_at_fault(getattr(stub, method), request) == ["request_id"]
        _, told = refused(getattr(stub, method), request)
        wording = f"is {request.request_id!r}, the id of another request to {method} of {hourly.name}"
        assert f"request_id {wording}; for example: " in told
