"""What goes wrong: three lines, and an exit code that scripts can tell apart."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import grpc
import pytest
from celeriac.monitor.v1 import queues_pb2, tasks_pb2
from celeriac.operations.v1 import operations_pb2
from celeriac.scheduler.v1 import manifests_pb2, schedules_pb2

from tests.support.calls import eventually
from tests.support.command import Command
from tests.support.contract_server import ContractServer
from tests.support.refusals import Refusal

SCHEDULES = "/celeriac.scheduler.v1.ScheduleService"
MANIFESTS = "/celeriac.scheduler.v1.ManifestService"
OPERATIONS = "/celeriac.operations.v1.OperationService"
Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (Code.INTERNAL, "INTERNAL", 1),
        (Code.FAILED_PRECONDITION, "SCHEDULE_PAUSED", 1),
        (Code.INVALID_ARGUMENT, "INVALID_FIELDS", 2),
        (Code.NOT_FOUND, "SCHEDULE_NOT_FOUND", 3),
        (Code.PERMISSION_DENIED, "ROLE_TOO_LOW", 4),
        (Code.UNAUTHENTICATED, "TOKEN_EXPIRED", 4),
        (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", 5),
        (Code.ABORTED, "ETAG_MISMATCH", 6),
        (Code.ALREADY_EXISTS, "SCHEDULE_EXISTS", 6),
        (Code.FAILED_PRECONDITION, "COUNT_CHANGED", 6),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    celeriac: Command, server: ContractServer, code: grpc.StatusCode, reason: str, expected: int
) -> None:
    server.answers[f"{SCHEDULES}/PauseSchedule"] = Refusal(code, "it is so", reason)
    ran = celeriac.run("schedules", "pause", "nightly")
    assert ran.code == expected
    assert ran.err.startswith(f"error: it is so\nwhy:   {reason} · request r-4711\n")
    assert ran.out == ""


def test_a_group_alone_shows_its_commands(celeriac: Command) -> None:
    ran = celeriac.run("schedules")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: celeriac schedules [OPTIONS] COMMAND")
    assert "\n  explain " in ran.err and "error:" not in ran.err


def test_success_is_0(celeriac: Command) -> None:
    assert celeriac.run("schedules", "list").code == 0


def test_a_system_that_is_not_there_is_5(celeriac: Command) -> None:
    ran = celeriac.run("schedules", "list", "--target", "127.0.0.1:1")
    assert ran.code == 5
    assert "error: nothing answers at 127.0.0.1:1" in ran.err
    assert "next:  celeriac status; or --target for another system" in ran.err


def test_a_call_that_takes_longer_than_timeout_is_5(celeriac: Command, server: ContractServer) -> None:
    server.answers[f"{SCHEDULES}/ListSchedules"] = lambda _: time.sleep(3)
    ran = celeriac.run("schedules", "list", "--timeout", "300ms".replace("300ms", "0.3s"))
    assert ran.code == 5
    assert "next:  a longer --timeout, or celeriac status" in ran.err


def test_fields_that_are_wrong_are_named(celeriac: Command, server: ContractServer) -> None:
    server.answers[f"{SCHEDULES}/CreateSchedule"] = Refusal(
        Code.INVALID_ARGUMENT, "2 faults", "INVALID_FIELDS", {"schedule.timing.time_zone": "is no zone"}
    )
    ran = celeriac.run("schedules", "create", "a", "--task", "t", "--every", "5m")
    assert ran.code == 2
    assert "why:   schedule.timing.time_zone is no zone · request r-4711" in ran.err


def test_a_misspelt_name_is_told_with_the_one_that_was_meant(
    celeriac: Command, server: ContractServer
) -> None:
    stored = [schedules_pb2.Schedule(name=f"schedules/{name}") for name in ("nightly-report", "hourly")]
    server.answers[f"{SCHEDULES}/ListSchedules"] = schedules_pb2.ListSchedulesResponse(schedules=stored)
    missing = Refusal(Code.NOT_FOUND, "there is no schedule 'schedules/nightly-reprot'", "SCHEDULE_NOT_FOUND")
    server.answers[f"{SCHEDULES}/GetSchedule"] = missing
    ran = celeriac.run("schedules", "show", "nightly-reprot")
    assert ran.code == 3
    assert ran.err.splitlines() == [
        "error: there is no schedule 'schedules/nightly-reprot'",
        "why:   SCHEDULE_NOT_FOUND · request r-4711",
        "next:  did you mean nightly-report? · celeriac schedules list",
    ]


def test_with_json_the_error_is_an_object_on_standard_error(
    celeriac: Command, server: ContractServer
) -> None:
    server.answers[f"{SCHEDULES}/PauseSchedule"] = Refusal(
        Code.ABORTED, "changed", "ETAG_MISMATCH", {"etag": "is old"}
    )
    ran = celeriac.run("schedules", "pause", "nightly", "-o", "json")
    assert (ran.code, ran.out) == (6, "")
    assert json.loads(ran.err) == {
        "code": "ABORTED",
        "reason": "ETAG_MISMATCH",
        "message": "changed",
        "fields": {"etag": "is old"},
        "request_id": "r-4711",
        "next": "look at it again, and decide anew",
    }


def test_a_refused_edit_says_where_the_text_is_kept(
    celeriac: Command, server: ContractServer, tmp_path: Path
) -> None:
    manifest = "schedules:\n- id: nightly\n  task: report\n"
    server.answers |= {
        f"{SCHEDULES}/GetSchedule": schedules_pb2.GetScheduleResponse(
            schedule=schedules_pb2.Schedule(
                name="schedules/nightly", task=schedules_pb2.TaskSpec(task_name="report")
            )
        ),
        f"{MANIFESTS}/ExportSchedules": manifests_pb2.ExportSchedulesResponse(manifest=manifest),
        f"{MANIFESTS}/ApplySchedules": Refusal(Code.INVALID_ARGUMENT, "'qeue' is no field", "INVALID_FIELDS"),
    }
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "  qeue: 語音" >> "$1"\n')
    editor.chmod(0o700)
    ran = celeriac.run("schedules", "edit", "nightly", EDITOR=str(editor), TMPDIR=str(tmp_path))
    assert ran.code == 2
    message, _, step = ran.err.splitlines()
    assert message == "error: 'qeue' is no field"
    [kept] = tmp_path.glob("celeriac-nightly-*.yaml")
    assert kept.read_text().endswith("- id: nightly\n  task: report\n  qeue: 語音\n")
    assert step == f"next:  your text is kept in {kept}: mend it, then celeriac schedules apply -f {kept}"


def test_of_two_names_the_one_that_is_wrong_is_told_with_the_one_that_was_meant(
    celeriac: Command, server: ContractServer
) -> None:
    queues = "/celeriac.monitor.v1.QueueService"
    stored = [queues_pb2.Queue(name=f"queues/{name}") for name in ("ai_analysis", "reports")]
    server.answers[f"{queues}/ListQueues"] = queues_pb2.ListQueuesResponse(queues=stored)
    server.answers[f"{queues}/MoveMessages"] = Refusal(Code.NOT_FOUND, "no queue 'report'", "QUEUE_NOT_FOUND")
    ran = celeriac.run("queues", "move", "ai_analysis", "report", "--yes")
    assert ran.err.splitlines()[2] == "next:  did you mean reports? · celeriac queues list"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["schedulez"], "there is no command 'schedulez'; did you mean 'schedules'?"),
        (["schedules", "shwo"], "there is no command 'shwo'; did you mean 'show'?"),
        (["tasks", "list", "--since", "yesterday"], "'yesterday' is no time; for example 2h (ago)"),
        (["tasks", "list", "--state", "failur"], "states[0] can't be 'failur'; did you mean FAILURE?"),
        (["tasks", "retry"], "give ids of tasks, or filters"),
        (["workers", "grow"], "name workers, or give --all, and not both"),
        (["schedules", "list", "--target", "https://gw:8443"], "is a URL; it has to be host:port"),
        (["schedules", "list", "--ca", "/nowhere"], "can't be read: No such file"),
        (["schedules", "list", "--context", "lokal"], "there is no context 'lokal'"),
        (["schedules", "list", "--zone", "Taipei"], ""),
        (["schedules", "list", "--nope"], "No such option"),
        (["schedules", "apply", "-f", "/nowhere"], "/nowhere can't be read"),
        (["config", "set"], "Missing argument"),
    ],
)
def test_what_is_used_wrongly_is_2_and_told(celeriac: Command, arguments: list[str], told: str) -> None:
    ran = celeriac.run(*arguments)
    if told:
        assert ran.code == 2
        assert f"error: {told}" in ran.err or told in ran.err.splitlines()[0]
        assert "Traceback" not in ran.err


def test_what_destroys_is_refused_where_nobody_can_be_asked(
    celeriac: Command, server: ContractServer
) -> None:
    ran = celeriac.run("schedules", "delete", "nightly")
    assert ran.code == 2
    assert "next:  add --yes, or look first by --dry-run" in ran.err
    assert server.requests(f"{SCHEDULES}/DeleteSchedule") == []
    assert celeriac.run("schedules", "delete", "nightly", "--yes").code == 0
    assert len(server.requests(f"{SCHEDULES}/DeleteSchedule")) == 1


def test_signed_out_is_4(celeriac: Command) -> None:
    ran = celeriac.run("whoami", CELERIAC_TOKEN="")
    assert ran.code == 4
    assert "next:  celeriac login" in ran.err


def test_an_operation_that_failed_in_part_is_7(celeriac: Command, server: ContractServer) -> None:
    server.answers[f"{OPERATIONS}/WaitOperation"] = operations_pb2.WaitOperationResponse(
        operation=_operation(operations_pb2.OPERATION_STATE_DONE, failed=2)
    )
    ran = celeriac.run("operations", "wait", "o1")
    assert ran.code == 7
    assert ran.out == "o1: done · 5 of 5 · 100% · 2 failed\n"


def test_workers_that_did_not_answer_are_7(celeriac: Command, server: ContractServer) -> None:
    reply = tasks_pb2.WorkerReply(worker="workers/w", outcome=tasks_pb2.WORKER_OUTCOME_NO_ANSWER)
    server.answers["/celeriac.monitor.v1.TaskService/RevokeTask"] = tasks_pb2.RevokeTaskResponse(
        replies=[reply]
    )
    ran = celeriac.run("tasks", "revoke", "t1", "--yes")
    assert ran.code == 7
    assert "no answer" in ran.out


def test_ctrl_c_leaves_long_work_running_and_says_how_to_follow_it(
    celeriac: Command, server: ContractServer
) -> None:
    def slow(_: object) -> operations_pb2.WaitOperationResponse:
        time.sleep(0.5)
        return operations_pb2.WaitOperationResponse(
            operation=_operation(operations_pb2.OPERATION_STATE_RUNNING)
        )

    server.answers[f"{OPERATIONS}/WaitOperation"] = slow
    process = celeriac.begin("operations", "wait", "o1")
    eventually(lambda: server.requests(f"{OPERATIONS}/WaitOperation"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "left running · celeriac operations wait o1" in err
    assert server.requests(f"{OPERATIONS}/CancelOperation") == []


def _operation(state: operations_pb2.OperationState, failed: int = 0) -> operations_pb2.Operation:
    return operations_pb2.Operation(name="operations/o1", state=state, total=5, done=5, failed=failed)


def test_whoever_reads_only_the_first_line_gets_no_traceback(
    celeriac: Command, server: ContractServer
) -> None:
    stored = [schedules_pb2.Schedule(name=f"schedules/s{n}", description="x" * 900) for n in range(500)]
    server.answers[f"{SCHEDULES}/ListSchedules"] = schedules_pb2.ListSchedulesResponse(schedules=stored)
    process = celeriac.begin("schedules", "list", "-o", "json", "--all-pages")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(30)
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_of_several_tasks_one_that_fails_keeps_the_others_not_back(
    celeriac: Command, server: ContractServer
) -> None:
    def retry(request: tasks_pb2.RetryTaskRequest) -> tasks_pb2.RetryTaskResponse:
        if request.name == "tasks/gone":
            raise Refusal(Code.NOT_FOUND, "there is no task 'tasks/gone'", "TASK_NOT_FOUND")
        return tasks_pb2.RetryTaskResponse(task=f"{request.name}-again")

    server.answers["/celeriac.monitor.v1.TaskService/RetryTask"] = retry
    ran = celeriac.run("tasks", "retry", "t1", "gone", "t2")
    assert ran.code == 7
    assert ran.out.splitlines() == ["t1 retried as t1-again", "t2 retried as t2-again"]
    assert "error: there is no task 'tasks/gone'" in ran.err
    told = json.loads(celeriac.run("tasks", "retry", "t1", "t2", "-o", "json").out)
    assert [each["task"] for each in told] == ["tasks/t1-again", "tasks/t2-again"]
    assert celeriac.run("tasks", "retry", "gone").code == 3
