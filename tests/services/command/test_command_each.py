"""Each command is called before a system that speaks every contract, and calls what it stands for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from celeriac.audit.v1 import audit_pb2
from celeriac.cli.run import run
from celeriac.monitor.v1 import alerts_pb2, monitoring_pb2, queues_pb2, system_pb2, tasks_pb2
from celeriac.operations.v1 import operations_pb2
from celeriac.scheduler.v1 import config_pb2, manifests_pb2, schedules_pb2

from tests.services.command.test_command_start import all_commands
from tests.support.command import Command
from tests.support.contract_server import METHODS, ContractServer

# What a call of each command is: its arguments, and the method that it is to reach.
CALLS: dict[str, tuple[list[str], str]] = {
    "schedules list": (["--label", "a=b", "--by-next-run"], "ListSchedules"),
    "schedules show": (["nightly"], "GetSchedule"),
    "schedules runs": (["nightly", "--outcome", "failed", "--since", "2d"], "ListRuns"),
    "schedules explain": (["nightly", "--since", "2h"], "ExplainSchedule"),
    "schedules preview": (["--crontab", "0 3 * * *", "--in", "Asia/Taipei"], "PreviewTimes"),
    "schedules run": (["nightly"], "TriggerSchedule"),
    "schedules pause": (["nightly", "-m", "移機"], "PauseSchedule"),
    "schedules resume": (["nightly"], "ResumeSchedule"),
    "schedules delete": (["nightly", "--yes"], "DeleteSchedule"),
    "schedules backfill": (["nightly", "--since", "1d", "--rate", "5", "--yes"], "BackfillSchedule"),
    "schedules create": (["a", "--task", "t", "--crontab", "0 3 * * *", "--args", "[1]"], "CreateSchedule"),
    "schedules apply": (["-f", "{manifest}", "--yes"], "ApplySchedules"),
    "schedules export": (["--label", "a=b"], "ExportSchedules"),
    "schedules import": (["-f", "{manifest}", "--label", "origin=beat"], "ImportSchedules"),
    "tasks list": (
        ["--state", "failure,retry", "--task", "a,b", "--since", "2h", "--text", "語音"],
        "ListTasks",
    ),
    "tasks show": (["t1"], "GetTask"),
    "tasks failures": (["--since", "2h"], "GroupFailures"),
    "tasks tail": (["--state", "failure", "--count", "1"], "WatchEvents"),
    "tasks run": (["rvt.report", "--args", "[7]", "--countdown", "5m"], "RunTask"),
    "tasks retry": (["t1", "t2"], "RetryTask"),
    "tasks revoke": (["--queue", "ai", "--yes"], "RevokeTasks"),
    "tasks terminate": (["t1", "--yes"], "RevokeTask"),
    "queues list": ([], "ListQueues"),
    "queues show": (["ai"], "GetQueue"),
    "queues peek": (["ai", "--count", "3"], "PeekQueue"),
    "queues pause": (["ai", "-m", "why"], "PauseQueue"),
    "queues resume": (["ai"], "ResumeQueue"),
    "queues purge": (["ai", "--count", "3", "--yes"], "PurgeQueue"),
    "queues purges": ([], "ListPurges"),
    "queues restore": (["p1"], "UndoPurge"),
    "queues move": (["ai", "other", "--yes"], "MoveMessages"),
    "workers list": (["--state", "online"], "ListWorkers"),
    "workers show": (["w1"], "GetWorker"),
    "workers ping": ([], "PingWorkers"),
    "workers grow": (["w1", "--count", "2"], "GrowPool"),
    "workers shrink": (["w1"], "ShrinkPool"),
    "workers add-consumer": (["ai", "w1"], "AddConsumer"),
    "workers cancel-consumer": (["ai", "--all", "--yes"], "CancelConsumer"),
    "workers restart": (["w1", "--yes"], "RestartPool"),
    "workers shutdown": (["w1", "--yes"], "ShutdownWorkers"),
    "workers forget": (["w1"], "DeleteWorker"),
    "alerts list": (["--severity", "critical", "--rule", "queue-long"], "ListAlerts"),
    "alerts show": (["17"], "GetAlert"),
    "alerts ack": (["17", "-m", "我來"], "AcknowledgeAlert"),
    "alerts silence": (["--subject", "ai_*", "--for", "2h", "-m", "移機"], "CreateAlertSilence"),
    "alerts silences": ([], "ListAlertSilences"),
    "alerts unsilence": (["3"], "EndAlertSilence"),
    "alerts rules": ([], "ListAlertRules"),
    "alerts channels": ([], "ListAlertChannels"),
    "alerts test": (["ops"], "TestAlertChannel"),
    "operations list": (["--state", "running"], "ListOperations"),
    "operations show": (["o1"], "GetOperation"),
    "operations wait": (["o1"], "WaitOperation"),
    "operations cancel": (["o1"], "CancelOperation"),
    "system drain": (["--yes", "--within", "5m"], "Drain"),
    "system resume": ([], "Resume"),
    "system restart": (["--yes", "--detach"], "Restart"),
    "system shutdown": (["--yes", "--detach"], "Shutdown"),
    "system start": ([], "Start"),
    "system gaps": (["--state", "open"], "ListEventGaps"),
    "questions list": (["--days", "7"], "ListHotQuestions"),
    "questions clusters": ([], "ListClusters"),
    "questions show": (["17", "--days", "7"], "GetCluster"),
    "questions ungrouped": ([], "ListUngroupedQuestions"),
    "questions ask": (["退款多久會到？"], "AssignQuestion"),
    "questions name": (["17", "退款"], "NameCluster"),
    "questions run": (["--method", "k_means", "--clusters", "3", "--detach"], "RunAnalysis"),
    "search": (["語音", "-k", "3", "--role", "user"], "SearchMessages"),
    "embed": (["語音", "--query"], "Embed"),
    "audit list": (["--resource", "schedules/nightly", "--since", "7d"], "ListRecords"),
    "audit show": (["r1"], "GetRecord"),
    "audit export": (["--actor", "mei"], "ListRecords"),
    "config list": (["scheduler."], "ListConfigs"),
    "config get": (["a"], "GetConfig"),
    "config set": (["a", "16", "-m", "why"], "SetConfig"),
    "config reset": (["a"], "ResetConfig"),
    "config history": (["a"], "ListConfigRevisions"),
    "config rollback": (["a", "3"], "RollbackConfig"),
    "config watch": (["scheduler.", "--count", "1"], "WatchConfigs"),
    "whoami": ([], "CheckHealth"),
    "version": ([], "GetInfo"),
}
# What other tests call: with a terminal, a context, an editor or another beat.
ELSEWHERE = {
    "status",
    "watch",
    "schedules edit",
    "schedules dump",
    "audit verify",
    "login",
    "logout",
    "contexts",
    "token",
    "open",
    "completion",
}


def test_each_command_is_among_them() -> None:
    assert {" ".join(path) for path in all_commands()} == CALLS.keys() | ELSEWHERE


@pytest.fixture
def answering(server: ContractServer) -> ContractServer:
    """A few answers that must not be empty, so that a command goes on to the call that is asked for."""
    monitor, scheduler = "/celeriac.monitor.v1", "/celeriac.scheduler.v1"
    done = operations_pb2.Operation(name="operations/o1", state=operations_pb2.OPERATION_STATE_DONE)
    server.answers |= {
        f"{monitor}.QueueService/GetQueue": queues_pb2.GetQueueResponse(
            queue=queues_pb2.Queue(name="queues/ai", length=3)
        ),
        f"{monitor}.QueueService/MoveMessages": queues_pb2.MoveMessagesResponse(moved_count=3, complete=True),
        f"{scheduler}.ConfigService/WatchConfigs": [
            config_pb2.WatchConfigsResponse(
                configs=[config_pb2.Config(name="configs/scheduler.sends_runs")], complete=True
            )
        ],
        f"{monitor}.TaskService/RevokeTasks": tasks_pb2.RevokeTasksResponse(matched_count=3),
        f"{monitor}.AlertService/TestAlertChannel": alerts_pb2.TestAlertChannelResponse(delivered=True),
        f"{monitor}.SystemService/Drain": system_pb2.DrainResponse(operation=done),
        "/celeriac.operations.v1.OperationService/WaitOperation": operations_pb2.WaitOperationResponse(
            operation=done
        ),
        f"{scheduler}.ConfigService/GetConfig": config_pb2.GetConfigResponse(
            config=config_pb2.Config(name="configs/a", type=config_pb2.CONFIG_TYPE_INT)
        ),
        f"{scheduler}.ManifestService/ApplySchedules": manifests_pb2.ApplySchedulesResponse(
            difference=manifests_pb2.Difference(create_count=1, text="+ a\n", etag="e1")
        ),
        f"{scheduler}.ManifestService/ImportSchedules": manifests_pb2.ImportSchedulesResponse(
            difference=manifests_pb2.Difference(text="+ a\n")
        ),
        f"{scheduler}.ScheduleService/ExplainSchedule": schedules_pb2.ExplainScheduleResponse(
            summary="The schedule is active."
        ),
        f"{monitor}.MonitoringService/WatchEvents": _one_task,
    }
    return server


def _one_task(_: Any) -> list[Any]:
    return [monitoring_pb2.WatchEventsResponse(task=tasks_pb2.Task(name="tasks/t1"), cursor="1")]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("how", [[], ["-o", "json"]], ids=["tabs", "json"])
def test_a_command_makes_its_call(
    celeriac: Command,
    answering: ContractServer,
    name: str,
    how: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for variable, value in celeriac.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    manifest = tmp_path / "schedules.yaml"
    manifest.write_text("schedules: []\n")
    arguments, method = CALLS[name]
    given = [argument.format(manifest=manifest) if "{m" in argument else argument for argument in arguments]
    code = run([*name.split(), *given, *how])
    assert code == 0, capsys.readouterr().err
    reached = {path.rpartition("/")[2] for path, _ in answering.arrived}
    assert method in reached, sorted(reached)
    assert method in {path.rpartition("/")[2] for path in METHODS}


def test_the_schedules_of_another_beat_are_dumped_where_it_runs(
    celeriac: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.py").write_text(
        "from celery import Celery\napp = Celery('shop', broker='memory://')\n"
        "app.conf.beat_schedule = {'報表': {'task': 'shop.report', 'schedule': 60}}\n"
    )
    monkeypatch.chdir(tmp_path)
    ran = celeriac.run("schedules", "dump", "beat-schedule", "shop")
    assert ran.code == 0, ran.err
    [entry] = [each for each in json.loads(ran.out)["entries"] if each["name"] == "報表"]
    assert entry["task"] == "shop.report"


def test_an_audit_log_that_is_not_intact_is_exit_code_1(celeriac: Command, server: ContractServer) -> None:
    broken = audit_pb2.VerifyResponse(
        size=7, discrepancies=[audit_pb2.Discrepancy(index=3, fault="the hash differs")]
    )
    server.answers["/celeriac.audit.v1.AuditService/Verify"] = broken
    ran = celeriac.run("audit", "verify")
    assert ran.code == 1
    assert ran.out.splitlines()[1] == "  record 3: the hash differs"


def test_the_status_is_0_only_if_all_is_healthy(celeriac: Command, server: ContractServer) -> None:
    path = "/celeriac.monitor.v1.MonitoringService/GetDashboard"
    sick = system_pb2.Component(
        component="broker", health=system_pb2.HEALTH_UNHEALTHY, detail="can't be reached"
    )
    server.answers[path] = monitoring_pb2.GetDashboardResponse(health=system_pb2.HEALTH_HEALTHY)
    assert celeriac.run("status").code == 0
    server.answers[path] = monitoring_pb2.GetDashboardResponse(
        health=system_pb2.HEALTH_UNHEALTHY, components=[sick]
    )
    ran = celeriac.run("status")
    assert ran.code == 1
    assert "component\tbroker\tunhealthy\tcan't be reached\n" in ran.out
    shown = celeriac.on_a_terminal("status", NO_COLOR="1").out
    assert "unhealthy" in shown.splitlines()[0]
    assert "can't be reached" in shown
