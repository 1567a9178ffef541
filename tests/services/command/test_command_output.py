"""What the command shows: tabs in a pipe, a table on a terminal, data for programs."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from celeriac.audit.v1 import audit_pb2
from celeriac.monitor.v1 import alerts_pb2, queues_pb2
from celeriac.scheduler.v1 import schedules_pb2
from wcwidth import wcswidth

from tests.support.command import Command
from tests.support.contract_server import ContractServer

LIST = "/celeriac.scheduler.v1.ScheduleService/ListSchedules"
QUEUES = "/celeriac.monitor.v1.QueueService/ListQueues"
NAME = "report-of-a-department-with-a-rather-long-name"


def schedule(name: str, queue: str = "ai", paused: bool = False) -> schedules_pb2.Schedule:
    found = schedules_pb2.Schedule(name=f"schedules/{name}", paused=paused)
    found.task.task_name = "報表.產生每日摘要"
    found.task.queue = f"queues/{queue}"
    found.timing.crontab.expression = "30 3 * * *"
    found.timing.time_zone = "Asia/Taipei"
    if not paused:
        found.next_run_time.FromJsonString("2036-12-01T19:30:00Z")
    return found


@pytest.fixture(autouse=True)
def schedules(server: ContractServer) -> None:
    stored = [schedule("nightly", "人工智慧分析"), schedule(NAME), schedule("stopped", paused=True)]
    server.answers[LIST] = schedules_pb2.ListSchedulesResponse(schedules=stored)


def test_in_a_pipe_there_are_tabs_rfc_3339_and_nothing_else(celeriac: Command) -> None:
    ran = celeriac.run("schedules", "list")
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert lines[0] == [
        "nightly",
        "active",
        "2036-12-01T19:30:00Z",
        "never",
        "30 3 * * * Asia/Taipei",
        "人工智慧分析",
        "報表.產生每日摘要",
    ]
    assert [line[0] for line in lines] == ["nightly", NAME, "stopped"]
    assert "\x1b" not in ran.out
    assert ran.err == ""


def test_a_schedule_that_is_paused_says_so_in_place_of_a_time(celeriac: Command) -> None:
    assert celeriac.run("schedules", "list").out.splitlines()[2].split("\t")[1:3] == ["paused", "paused"]
    assert "1970" not in celeriac.on_a_terminal("schedules", "list").out


@pytest.mark.parametrize("place", [["-o", "json", "schedules", "list"], ["schedules", "list", "-o", "json"]])
def test_json_is_one_array_with_the_names_of_the_contract(celeriac: Command, place: list[str]) -> None:
    found = json.loads(celeriac.run(*place).out)
    assert [each["name"] for each in found] == ["schedules/nightly", f"schedules/{NAME}", "schedules/stopped"]
    assert found[0]["next_run_time"] == "2036-12-01T19:30:00Z"


def test_yaml_and_names(celeriac: Command) -> None:
    read = yaml.safe_load(celeriac.run("schedules", "list", "-o", "yaml").out)
    assert read[0]["task"]["task_name"] == "報表.產生每日摘要"
    assert celeriac.run("schedules", "list", "-o", "name").out.split() == ["nightly", NAME, "stopped"]


def test_a_table_in_a_pipe_has_a_header_and_columns_that_line_up(celeriac: Command) -> None:
    lines = celeriac.run("schedules", "list", "-o", "table").out.splitlines()
    assert lines[0].startswith("NAME")
    assert "NEXT (UTC)" in lines[0]
    starts = {wcswidth(line[: line.index("報表")]) for line in lines[1:]}
    assert len(starts) == 1


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_on_a_terminal_columns_line_up_and_names_are_whole(celeriac: Command, columns: int) -> None:
    lines = celeriac.on_a_terminal("schedules", "list", columns=columns, NO_COLOR="1").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "nightly", NAME, "stopped"]
    starts = {
        wcswidth(line[: re.search("STATE|active|paused", line).start()])  # type: ignore[union-attr]
        for line in lines
    }
    assert len(starts) == 1
    assert all(wcswidth(line) <= columns for line in lines)


def test_on_a_wide_terminal_times_have_their_zone_in_the_header(celeriac: Command) -> None:
    shown = celeriac.on_a_terminal("schedules", "list", columns=200, NO_COLOR="1").out
    assert "NEXT (Asia/Taipei)" in shown
    assert re.search(r"2036-12-02 03:30 \(in \d+", shown)
    other = celeriac.on_a_terminal("schedules", "list", "--zone", "UTC", columns=200, NO_COLOR="1").out
    assert "2036-12-01 19:30 (in" in other


def test_colour_is_for_terminals_and_can_be_switched_off(celeriac: Command) -> None:
    assert "\x1b[32m" in celeriac.on_a_terminal("schedules", "list").out
    assert "\x1b" not in celeriac.on_a_terminal("schedules", "list", "--no-color").out
    assert "\x1b" not in celeriac.on_a_terminal("schedules", "list", NO_COLOR="1").out


def test_what_a_terminal_would_obey_is_shown_escaped(celeriac: Command, server: ContractServer) -> None:
    queue = queues_pb2.Queue(name="queues/a\x1b[2Jb\tc")
    server.answers[QUEUES] = queues_pb2.ListQueuesResponse(queues=[queue])
    for shown in (celeriac.run("queues", "list").out, celeriac.on_a_terminal("queues", "list").out):
        assert "a\\x1b[2Jb\\tc" in shown


def test_nothing_is_an_empty_output_in_a_pipe_and_a_sentence_for_a_person(
    celeriac: Command, server: ContractServer
) -> None:
    server.answers.clear()
    assert celeriac.run("schedules", "list") == type(celeriac.run("schedules", "list"))(0, "", "")
    assert json.loads(celeriac.run("schedules", "list", "-o", "json").out) == []
    assert "no schedule matches" in celeriac.on_a_terminal("schedules", "list").out


def test_a_list_that_ends_at_its_limit_says_so_beside_the_output(celeriac: Command) -> None:
    ran = celeriac.run("schedules", "list", "--limit", "2")
    assert len(ran.out.splitlines()) == 2
    assert ran.err == "the first 2, there may be more: --all-pages, or --limit\n"
    assert celeriac.run("schedules", "list", "--all-pages").err == ""


def test_what_has_no_name_is_refused_as_one(celeriac: Command) -> None:
    """It was a traceback."""
    told = celeriac.run("version", "-o", "name")
    assert (told.code, told.out) == (2, "")
    assert told.err.splitlines()[0] == "error: this has no names to tell"
    assert "Traceback" not in told.err


EXPLAIN = "/celeriac.scheduler.v1.ScheduleService/ExplainSchedule"
CREATE = "/celeriac.scheduler.v1.ScheduleService/CreateSchedule"
ALERTS = "/celeriac.monitor.v1.AlertService/ListAlerts"


def test_each_time_that_a_person_reads_has_its_zone(celeriac: Command, server: ContractServer) -> None:
    answer = schedules_pb2.ExplainScheduleResponse(summary="It is due next at 2036-12-01 19:30:00Z.")
    answer.due_times.add(reason="Sent at 2036-12-01 19:30:01Z (in time).").due_time.FromJsonString(
        "2036-12-01T19:30:00Z"
    )
    server.answers[EXPLAIN] = answer
    server.answers[CREATE] = schedules_pb2.CreateScheduleResponse(schedule=schedule("nightly"))
    server.answers["/celeriac.scheduler.v1.ScheduleService/GetSchedule"] = schedules_pb2.GetScheduleResponse(
        schedule=schedule("nightly")
    )
    explain, create = ("schedules", "explain", "nightly"), ("create", "a", "--task", "t", "--every", "5m")
    for zone, due in (("Asia/Taipei", "2036-12-02 03:30"), ("Europe/Berlin", "2036-12-01 20:30")):
        told = celeriac.on_a_terminal(*explain, "--zone", zone, columns=200, NO_COLOR="1").out
        assert f"It is due next at {due}:00 {zone}." in told
        assert f"Sent at {due}:01 {zone} (in time)." in told
        assert f"{due} {zone} (in " in told
        for command in (create, ("show", "nightly")):
            told = celeriac.on_a_terminal(
                "schedules", *command, "--zone", zone, columns=200, NO_COLOR="1"
            ).out
            assert f"{due} {zone} (in " in told
    assert "It is due next at 2036-12-01 19:30:00Z." in celeriac.run(*explain, "--zone", "Asia/Taipei").out


def test_at_80_columns_a_list_of_alerts_has_their_rules_whole(
    celeriac: Command, server: ContractServer
) -> None:
    alert = alerts_pb2.Alert(
        name="alerts/17",
        rule="alertRules/component-not-reachable",
        state=alerts_pb2.ALERT_STATE_FIRING,
        severity=alerts_pb2.ALERT_SEVERITY_CRITICAL,
        summary="佇列 語音辨識 的長度是 4711，至少 10 " * 3,
        subject="語音辨識佇列",
    )
    alert.fire_time.FromJsonString("2026-11-30T12:00:00Z")
    server.answers[ALERTS] = alerts_pb2.ListAlertsResponse(alerts=[alert])
    lines = celeriac.on_a_terminal("alerts", "list", columns=80, NO_COLOR="1").out.splitlines()
    assert "component-not-reachable" in lines[1] and "critical" in lines[1]
    assert all(wcswidth(line) <= 80 for line in lines)


def test_at_80_columns_a_list_of_queues_has_their_consumers(
    celeriac: Command, server: ContractServer
) -> None:
    queue = queues_pb2.Queue(
        name="queues/video-transcoding-with-low-priority", length=123_456, consumer_count=7
    )
    queue.oldest_sent_time.FromJsonString("2026-11-30T12:00:00Z")
    server.answers[QUEUES] = queues_pb2.ListQueuesResponse(queues=[queue])
    titles, row = celeriac.on_a_terminal("queues", "list", columns=80, NO_COLOR="1").out.splitlines()
    assert titles.split()[:3] == ["NAME", "STATE", "LENGTH"] and titles.split()[-1] == "CONSUMERS"
    assert row.split()[-1] == "7"


def test_at_80_columns_ids_are_short_and_are_taken_so(celeriac: Command, server: ContractServer) -> None:
    ids = ("9b4a6800-0ad9-494c-a9df-ad1fedaa6f52", "9b4a68ff-f399-4af2-b33a-a7fc6218289c")
    audit = "/celeriac.audit.v1.AuditService"
    records = [
        audit_pb2.Record(
            name=f"auditRecords/{id}", actor="mei", method="a/PurgeQueue", resource="queues/語音"
        )
        for id in ids
    ]
    server.answers[f"{audit}/ListRecords"] = audit_pb2.ListRecordsResponse(records=records)
    shown = celeriac.on_a_terminal("audit", "list", columns=80, NO_COLOR="1").out.splitlines()
    assert shown[0].split()[-1] == "OUTCOME" and shown[1].startswith("9b4a6800  ")
    assert ids[0] in celeriac.on_a_terminal("audit", "list", columns=200, NO_COLOR="1").out
    assert celeriac.run("audit", "list").out.startswith(ids[0])
    assert celeriac.run("audit", "show", "9b4a6800").code == 0
    assert server.arrived[-1][1].name == f"auditRecords/{ids[0]}"
    several = celeriac.run("audit", "show", "9b4a68")
    assert several.code == 2 and f"several begin with 9b4a68: {ids[0]}, {ids[1]}" in several.err
    none = celeriac.run("audit", "show", "aaaaaaaa")
    assert none.code == 3 and "none begins with aaaaaaaa" in none.err
