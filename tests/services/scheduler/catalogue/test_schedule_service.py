"""The scheduler as a process: schedules made, changed, run, refused."""

from __future__ import annotations

import datetime as dt
import json
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import redis
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, all_listed, eventually, fields_at_fault, refused
from tests.support.runs import schedule_of_run, task_id_of
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey

Code = grpc.StatusCode


def yearly(name: str = "", **task: Any) -> pb.Schedule:
    """A schedule that does not come due while tests run."""
    name = name or f"schedules/t-{uuid.uuid4().hex[:8]}"
    return pb.Schedule(
        name=name,
        task=pb.TaskSpec(**{"task_name": "report", "queue": f"queues/q-{uuid.uuid4().hex[:8]}", **task}),
        timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *")),
    )


def create(schedules: Any, schedule: pb.Schedule) -> pb.Schedule:
    stored: pb.Schedule = schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule)).schedule
    return stored


def bare(queue: str) -> str:
    return queue.removeprefix("queues/")


def sent(valkey: Valkey, queue: str) -> list[dict[str, Any]]:
    with redis.Redis(valkey.host, valkey.port) as client:
        return [json.loads(message) for message in client.lrange(queue, 0, -1)]


def test_a_schedule_comes_back_as_it_was_created(schedules: Any) -> None:
    wanted = pb.Schedule(
        name=f"schedules/round-trip-{uuid.uuid4().hex[:6]}",
        task=pb.TaskSpec(
            task_name="報表.產生",
            args_json='[1, "二", 2.5, null]',
            kwargs_json='{"n": 9007199254740993}',
            queue="queues/reports",
            priority=6,
            expires={"seconds": 3600},
            soft_time_limit={"seconds": 60},
            time_limit={"seconds": 90},
            headers={"tenant": "acme"},
        ),
        timing=pb.Timing(
            interval=pb.Interval(every={"seconds": 86400}, anchor={"seconds": 4_000_000_000}),
            time_zone="Europe/London",
        ),
        description="每日報表",
        labels={"team": "成長"},
    )
    stored = create(schedules, wanted)
    assert stored.etag
    assert stored.next_run_time.seconds > dt.datetime.now(dt.UTC).timestamp() + 86000
    again = schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule
    assert again == stored
    for field in ("name", "task", "timing", "description", "labels"):
        assert getattr(again, field) == getattr(wanted, field)


def test_the_default_zone_is_taipei(schedules: Any) -> None:
    assert create(schedules, yearly()).timing.time_zone == "Asia/Taipei"


def test_a_taken_name_is_told(schedules: Any) -> None:
    stored = create(schedules, yearly())
    code, message = refused(schedules.CreateSchedule, pb.CreateScheduleRequest(schedule=yearly(stored.name)))
    assert code is Code.ALREADY_EXISTS
    assert stored.name in message


def test_a_change_follows_its_mask_and_moves_the_etag(schedules: Any) -> None:
    stored = create(schedules, yearly())
    change = pb.Schedule(
        name=stored.name,
        etag=stored.etag,
        description="changed",
        timing=pb.Timing(crontab=pb.Crontab(expression="0 3 * * *")),
    )
    updated = schedules.UpdateSchedule(
        pb.UpdateScheduleRequest(schedule=change, update_mask=FieldMask(paths=["timing", "description"]))
    ).schedule
    assert updated.etag != stored.etag
    assert (updated.description, updated.task) == ("changed", stored.task)
    assert updated.timing.crontab.expression == "0 3 * * *"


def test_a_mask_of_everything_changes_what_no_mask_changes(schedules: Any) -> None:
    stored = create(schedules, yearly())
    change = pb.Schedule(name=stored.name, description="all of it", task=stored.task, timing=stored.timing)
    change.jitter.seconds = 5
    request = pb.UpdateScheduleRequest(schedule=change, update_mask=FieldMask(paths=["*"]))
    updated = schedules.UpdateSchedule(request).schedule
    assert (updated.description, updated.jitter.seconds, len(updated.labels)) == ("all of it", 5, 0)


def test_schedules_are_listed_by_what_runs_next(schedules: Any) -> None:
    """Two that are due at one moment, one earlier, one later, and a paused one, which is due never."""
    queue = f"q-{uuid.uuid4().hex[:8]}"
    days = {"b": 2, "a": 2, "first": 1, "last": 3, "paused": 1}
    for name, day in days.items():
        wanted = yearly()
        wanted.name = f"schedules/{queue}-{name}"
        wanted.task.queue, wanted.paused = f"queues/{queue}", name == "paused"
        wanted.timing.once.at.FromDatetime(dt.datetime(2040, 1, day, tzinfo=dt.UTC))
        create(schedules, wanted)
    expected = [f"schedules/{queue}-{name}" for name in ("first", "a", "b", "last")]
    request = pb.ListSchedulesRequest(queues=[f"queues/{queue}"], order_by="next_run_time")
    assert [each.name for each in schedules.ListSchedules(request).schedules] == expected
    paged = list[str]()
    request.page_size = 2
    while True:
        page = schedules.ListSchedules(request)
        paged += [each.name for each in page.schedules]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert paged == expected
    request.text = "FIRST"
    assert [each.name for each in schedules.ListSchedules(request).schedules] == expected[:1]


def test_an_order_is_one_that_there_is_and_a_token_is_of_its_order(schedules: Any) -> None:
    create(schedules, yearly())
    create(schedules, yearly())
    for strange in ("name desc", "name,next_run_time", "create_time"):
        request = pb.ListSchedulesRequest(order_by=strange)
        assert fields_at_fault(schedules.ListSchedules, request) == ["order_by"]
    for usual in ("", "name", " name "):
        schedules.ListSchedules(pb.ListSchedulesRequest(order_by=usual))
    by_name = pb.ListSchedulesRequest(page_size=1)
    by_time = pb.ListSchedulesRequest(page_size=1, order_by="next_run_time")
    tokens = [schedules.ListSchedules(request).next_page_token for request in (by_time, by_name)]
    for request, token in zip((by_name, by_time), tokens, strict=True):
        request.page_token = token
        assert fields_at_fault(schedules.ListSchedules, request) == ["page_token"]


def test_a_page_of_large_schedules_is_short_enough_for_every_client(schedules: Any) -> None:
    """Twenty of 250 KB each; a client of gRPC takes 4 MiB at a time."""
    queue, large = f"q-{uuid.uuid4().hex[:8]}", json.dumps({"text": "x" * 250_000})
    names = []
    for _ in range(20):
        wanted = yearly()
        wanted.task.MergeFrom(pb.TaskSpec(queue=f"queues/{queue}", kwargs_json=large))
        names.append(create(schedules, wanted).name)
    found, token, pages = list[str](), "", 0
    while token or not pages:
        page = schedules.ListSchedules(
            pb.ListSchedulesRequest(queues=[f"queues/{queue}"], page_size=1000, page_token=token)
        )
        found += [each.name for each in page.schedules]
        token, pages = page.next_page_token, pages + 1
    assert found == sorted(names)
    assert pages == 2


def test_the_later_of_two_editors_is_told_the_current_etag(schedules: Any) -> None:
    stored = create(schedules, yearly())

    def edit(words: str) -> Any:
        change = pb.Schedule(name=stored.name, etag=stored.etag, description=words)
        return pb.UpdateScheduleRequest(schedule=change, update_mask=FieldMask(paths=["description"]))

    current = schedules.UpdateSchedule(edit("first")).schedule
    code, message = refused(schedules.UpdateSchedule, edit("second"))
    assert code is Code.ABORTED
    assert current.etag in message
    again = schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule
    assert again.description == "first"


def test_a_paused_schedule_has_no_due_time_until_it_is_resumed(schedules: Any) -> None:
    stored = create(schedules, yearly())
    paused = schedules.PauseSchedule(pb.PauseScheduleRequest(name=stored.name, note="until Monday")).schedule
    assert (paused.paused, paused.pause_note) == (True, "until Monday")
    assert not paused.HasField("next_run_time")
    resumed = schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=stored.name)).schedule
    assert (resumed.paused, resumed.pause_note) == (False, "")
    assert resumed.next_run_time == stored.next_run_time


def test_a_deleted_schedule_is_gone(schedules: Any) -> None:
    stored = create(schedules, yearly())
    code, _ = refused(schedules.DeleteSchedule, pb.DeleteScheduleRequest(name=stored.name, etag="another"))
    assert code is Code.ABORTED
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=stored.name, etag=stored.etag))
    for call, request in (
        (schedules.GetSchedule, pb.GetScheduleRequest(name=stored.name)),
        (schedules.DeleteSchedule, pb.DeleteScheduleRequest(name=stored.name)),
        (schedules.TriggerSchedule, pb.TriggerScheduleRequest(name=stored.name)),
    ):
        code, message = refused(call, request)
        assert code is Code.NOT_FOUND
        assert stored.name in message


def test_lists_are_filtered_and_paged(schedules: Any) -> None:
    mark = uuid.uuid4().hex[:8]
    for number in range(5):
        schedule = yearly(f"schedules/{mark}-{number}", queue=f"queues/{mark}-{number % 2}")
        schedule.labels["team"] = f"{mark}{number}"
        create(schedules, schedule)
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=f"schedules/{mark}-3"))

    def names(**wanted: Any) -> list[str]:
        request = pb.ListSchedulesRequest(**{"text": mark, **wanted}, page_size=2)
        found = all_listed(schedules.ListSchedules, request, "schedules")
        return [schedule.name.rpartition("-")[2] for schedule in found]

    assert names() == list("01234")
    assert names(queues=[f"queues/{mark}-1"]) == list("13")
    assert names(queues=[f"queues/{mark}-1", f"queues/{mark}-0", "queues/none"]) == list("01234")
    assert names(paused=True) == ["3"]
    assert names(paused=False) == list("0124")
    assert names(labels=[f"team={mark}4"]) == ["4"]
    assert names(labels=[f"team={mark}4", f"team={mark}3"]) == []
    assert names(labels=[f"team={mark}4"], queues=[f"queues/{mark}-0"]) == ["4"]
    assert names(text=mark.upper()) == list("01234")
    assert names(task_names=["other"]) == []
    assert names(task_names=["other", "report"], paused=True) == ["3"]


def test_a_triggered_run_is_on_its_queue_as_celery_would_have_written_it(
    schedules: Any, valkey: Valkey
) -> None:
    stored = create(schedules, yearly(kwargs_json='{"min_length": 5}', expires={"seconds": 60}))
    run = schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=stored.name)).run
    assert (schedule_of_run(run), run.state, run.reason) == (
        stored.name,
        pb.RUN_STATE_PUBLISHED,
        "triggered by mei",
    )
    [message] = sent(valkey, bare(stored.task.queue))
    assert message["headers"]["id"] == message["properties"]["correlation_id"] == task_id_of(run)
    assert message["headers"]["task"] == "report"
    assert message["headers"]["expires"] is not None
    assert message["properties"]["delivery_info"]["routing_key"] == bare(stored.task.queue)


def test_a_trigger_sent_twice_with_one_request_id_runs_once(schedules: Any, valkey: Valkey) -> None:
    stored = create(schedules, yearly())
    request = pb.TriggerScheduleRequest(name=stored.name, request_id="retry-1")
    first, second = (schedules.TriggerSchedule(request).run for _ in range(2))
    assert first == second
    assert len(sent(valkey, bare(stored.task.queue))) == 1
    schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=stored.name, request_id="retry-2"))
    assert len(sent(valkey, bare(stored.task.queue))) == 2


def test_a_trigger_does_not_wait_for_a_broker_that_hangs_and_is_sent_once(
    schedules: Any, valkey: Valkey
) -> None:
    stored = create(schedules, yearly())
    request = pb.TriggerScheduleRequest(name=stored.name)
    schedules.TriggerSchedule(request)
    assert valkey.process is not None
    valkey.process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        triggered = pool.submit(schedules.TriggerSchedule, request)
        try:
            run = triggered.result(60).run
        finally:
            valkey.process.send_signal(signal.SIGCONT)
    assert run.state == pb.RUN_STATE_PENDING
    wanted = pb.GetRunRequest(name=run.name)
    eventually(lambda: schedules.GetRun(wanted).run.state == pb.RUN_STATE_PUBLISHED)
    identities = [message["headers"]["id"] for message in sent(valkey, bare(stored.task.queue))]
    assert len(identities) == 2 and identities.count(task_id_of(run)) == 1


def test_a_paused_schedule_can_be_triggered(schedules: Any, valkey: Valkey) -> None:
    stored = create(schedules, yearly())
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=stored.name))
    schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=stored.name))
    assert len(sent(valkey, bare(stored.task.queue))) == 1


def test_a_schedule_of_each_second_runs_by_itself(schedules: Any, valkey: Valkey) -> None:
    schedule = yearly()
    schedule.timing.CopyFrom(pb.Timing(interval=pb.Interval(every={"seconds": 1})))
    stored = create(schedules, schedule)

    def runs() -> list[pb.Run]:
        listed = schedules.ListRuns(pb.ListRunsRequest(parent=stored.name)).runs
        return [run for run in listed if run.state == pb.RUN_STATE_PUBLISHED]

    eventually(lambda: len(runs()) >= 3)
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=stored.name))
    found = eventually(lambda: len(runs()) == len(sent(valkey, bare(stored.task.queue))) and runs())
    due = [run.due_time.seconds for run in reversed(found)]
    assert due == list(range(due[0], due[0] + len(due)))
    assert {run.reason for run in found} == {"due"}
    identities = [message["headers"]["id"] for message in sent(valkey, bare(stored.task.queue))]
    assert sorted(identities) == sorted(task_id_of(run) for run in found)


def test_runs_are_paged_newest_first(schedules: Any) -> None:
    stored = create(schedules, yearly())
    triggered = [
        schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=stored.name)).run.name for _ in range(5)
    ]
    found = all_listed(schedules.ListRuns, pb.ListRunsRequest(parent=stored.name, page_size=2), "runs")
    assert [run.name for run in found] == triggered[::-1]


@pytest.mark.parametrize(
    ("method", "request_type"),
    [("ListRuns", pb.ListRunsRequest), ("ListBackfills", pb.ListBackfillsRequest)],
)
def test_what_a_schedule_has_is_not_listed_once_it_is_gone(
    schedules: Any, method: str, request_type: Any
) -> None:
    """A name that was mistyped is told from a schedule that has nothing to list."""
    stored, call = create(schedules, yearly()), getattr(schedules, method)
    assert not call(request_type(parent=stored.name)).ListFields()
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=stored.name))
    assert refused(call, request_type(parent=stored.name)) == (
        Code.NOT_FOUND,
        f"there is no schedule {stored.name!r}",
    )


def test_a_preview_needs_no_stored_schedule(schedules: Any) -> None:
    timing = pb.Timing(crontab=pb.Crontab(expression="30 3 * * *"), time_zone="Asia/Taipei")
    request = pb.PreviewTimesRequest(timing=timing, start_time={"seconds": 1795500000}, count=3)
    times = [moment.ToDatetime() for moment in schedules.PreviewTimes(request).times]
    assert [moment.strftime("%H:%M") for moment in times] == ["19:30"] * 3
    assert times[1] - times[0] == dt.timedelta(days=1)
    stored = create(schedules, yearly())
    by_name = schedules.PreviewTimes(pb.PreviewTimesRequest(name=stored.name, count=1)).times
    assert by_name[0] == stored.next_run_time


def broken(**changes: Any) -> pb.CreateScheduleRequest:
    schedule = yearly()
    for path, value in changes.items():
        *parents, last = path.split("__")
        target: Any = schedule
        for parent in parents:
            target = getattr(target, parent)
        if isinstance(value, dict):
            getattr(target, last).clear()
            getattr(target, last).update(value)
        elif hasattr(value, "DESCRIPTOR"):
            getattr(target, last).CopyFrom(value)
        else:
            setattr(target, last, value)
    return pb.CreateScheduleRequest(schedule=schedule)


NEVER = pb.Timing(interval=pb.Interval(every={"seconds": 0}))
HALF = pb.Timing(interval=pb.Interval(every={"nanos": 500_000_000}))


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (broken(name="cleanup"), "schedule.name"),
        (broken(name="schedules/UPPER"), "schedule.name"),
        (broken(name="schedules/" + "x" * 1_000_000), "schedule.name"),
        (broken(name="schedules/a'; DROP TABLE celery_schedules;--"), "schedule.name"),
        (broken(task__task_name=""), "schedule.task.task_name"),
        (broken(task__task_name="a\0b"), "schedule.task.task_name"),
        (broken(task__queue="x" * 300), "schedule.task.queue"),
        (broken(task__queue="ai_analysis"), "schedule.task.queue"),
        (broken(task__queue="queues/" + "x" * 1025), "schedule.task.queue"),
        (broken(task__priority=42), "schedule.task.priority"),
        (broken(task__priority=-1), "schedule.task.priority"),
        (broken(task__args_json="{}"), "schedule.task.args_json"),
        (broken(task__kwargs_json="{'a': 1}"), "schedule.task.kwargs_json"),
        (broken(task__kwargs_json="[1]"), "schedule.task.kwargs_json"),
        (broken(task__kwargs_json='{"a": NaN}'), "schedule.task.kwargs_json"),
        (broken(task__kwargs_json='{"a": "\\ud800"}'), "schedule.task.kwargs_json"),
        (broken(task__kwargs_json="[" * 100_000), "schedule.task.kwargs_json"),
        (broken(task__expires=NEVER.interval.every), "schedule.task.expires"),
        (broken(task__headers={"": "x"}), "schedule.task.headers"),
        (broken(timing__crontab__expression="* * * *"), "schedule.timing.crontab.expression"),
        (broken(timing__crontab__expression="99 * * * *"), "schedule.timing.crontab.expression"),
        (broken(timing__crontab__expression="0 0 31 2 *"), "schedule.timing.crontab.expression"),
        (broken(timing__time_zone="Asia/Taipai"), "schedule.timing.time_zone"),
        (broken(timing__time_zone="../../etc/passwd"), "schedule.timing.time_zone"),
        (broken(timing=NEVER), "schedule.timing.interval.every"),
        (broken(timing=HALF), "schedule.timing.interval.every"),
        (broken(timing=pb.Timing()), "schedule.timing"),
        (broken(description="x" * 5000), "schedule.description"),
        (broken(labels={"a\0": "b"}), "schedule.labels"),
        (pb.CreateScheduleRequest(), "schedule"),
        (pb.CreateScheduleRequest(schedule=pb.Schedule()), "schedule.name"),
    ],
)
def test_a_schedule_with_nonsense_in_it_is_refused_by_field(
    schedules: Any, request_message: pb.CreateScheduleRequest, field: str
) -> None:
    assert field in fields_at_fault(schedules.CreateSchedule, request_message)


def test_every_fault_of_a_request_is_told_at_once(schedules: Any) -> None:
    request = broken(name="X", task__priority=10, timing__time_zone="Nowhere")
    assert fields_at_fault(schedules.CreateSchedule, request) == [
        "schedule.name",
        "schedule.task.priority",
        "schedule.timing.time_zone",
    ]


@pytest.mark.parametrize(
    ("method", "request_message", "field"),
    [
        ("GetSchedule", pb.GetScheduleRequest(name="x"), "name"),
        ("DeleteSchedule", pb.DeleteScheduleRequest(), "name"),
        ("PauseSchedule", pb.PauseScheduleRequest(name="schedules/a", note="\0"), "note"),
        ("ResumeSchedule", pb.ResumeScheduleRequest(name="schedules/"), "name"),
        ("TriggerSchedule", pb.TriggerScheduleRequest(name="schedules/a/b"), "name"),
        (
            "TriggerSchedule",
            pb.TriggerScheduleRequest(name="schedules/a", request_id="x" * 101),
            "request_id",
        ),
        ("PreviewTimes", pb.PreviewTimesRequest(), "timing"),
        ("PreviewTimes", pb.PreviewTimesRequest(timing=NEVER), "timing.interval.every"),
        ("PreviewTimes", pb.PreviewTimesRequest(timing=HALF, count=5000), "count"),
        ("ListSchedules", pb.ListSchedulesRequest(page_token="x"), "page_token"),
        ("ListSchedules", pb.ListSchedulesRequest(page_size=-5), "page_size"),
        ("ListSchedules", pb.ListSchedulesRequest(labels=["team"]), "labels[0]"),
        ("ListSchedules", pb.ListSchedulesRequest(queues=["queues/a", "b"]), "queues[1]"),
        ("ListSchedules", pb.ListSchedulesRequest(task_names=[""]), "task_names[0]"),
        ("ListSchedules", pb.ListSchedulesRequest(labels=[f"a={number}" for number in range(21)]), "labels"),
        ("ListSchedules", pb.ListSchedulesRequest(task_names=["a"] * 101), "task_names"),
        ("GetRun", pb.GetRunRequest(name="schedules/a/runs/2026-11-29T03:30:00Z"), "name"),
        ("GetRun", pb.GetRunRequest(name="schedules/a/runs/20261329T033000.000000Z"), "name"),
        ("GetRun", pb.GetRunRequest(name="schedules/A/runs/20261129T033000.000000Z"), "name"),
        ("ListSchedules", pb.ListSchedulesRequest(text="a\0"), "text"),
        ("ListRuns", pb.ListRunsRequest(parent="x"), "parent"),
        ("ListRuns", pb.ListRunsRequest(page_token="eyJkdWUiOjF9"), "page_token"),
    ],
)
def test_other_nonsense_is_refused_by_field(
    schedules: Any, method: str, request_message: Any, field: str
) -> None:
    assert field in fields_at_fault(getattr(schedules, method), request_message)


def test_an_unknown_path_in_the_mask_is_refused_and_nothing_changes(schedules: Any) -> None:
    stored = create(schedules, yearly())
    change = pb.Schedule(name=stored.name, description="changed")
    request = pb.UpdateScheduleRequest(
        schedule=change, update_mask=FieldMask(paths=["description", "next_run_time"])
    )
    assert fields_at_fault(schedules.UpdateSchedule, request) == ["update_mask"]
    assert schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule == stored


def test_a_viewer_may_look_and_not_touch(lone_scheduler: Scheduler, tokens: LocalIssuer) -> None:
    stub = schedules_pb2_grpc.ScheduleServiceStub(lone_scheduler.channel)
    viewer = Caller(stub, tokens.mint("viewer"))
    viewer.ListSchedules(pb.ListSchedulesRequest())
    code, message = refused(viewer.CreateSchedule, pb.CreateScheduleRequest(schedule=yearly()))
    assert code is Code.PERMISSION_DENIED
    assert "admin" in message


def test_a_retried_creation_is_answered_though_its_time_has_passed(schedules: Any) -> None:
    timing, name = pb.Timing(once=pb.Once()), "schedules/retried-after-its-time"
    timing.once.at.FromDatetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5))
    wanted = pb.Schedule(name=name, task=pb.TaskSpec(task_name="report"), timing=timing)
    request = pb.CreateScheduleRequest(schedule=wanted, request_id="made-once")
    schedules.CreateSchedule(request)
    eventually(lambda: dt.datetime.now(dt.UTC) > timing.once.at.ToDatetime(dt.UTC))
    assert schedules.CreateSchedule(request).schedule.name == name


def test_a_retried_creation_is_not_answered_with_a_later_schedule_of_that_name(schedules: Any) -> None:
    name = "schedules/retried-after-another"
    timing = pb.Timing(crontab=pb.Crontab(expression="0 3 * * *"))
    wanted = pb.Schedule(name=name, task=pb.TaskSpec(task_name="report"), timing=timing)
    request = pb.CreateScheduleRequest(schedule=wanted, request_id="made-once")
    schedules.CreateSchedule(request)
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
    schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=wanted))
    code, _ = refused(schedules.CreateSchedule, request)
    assert code is grpc.StatusCode.NOT_FOUND
