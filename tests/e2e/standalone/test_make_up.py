"""`make up` and its companions, on the real system."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from celeriac.embedder.v1 import messages_pb2, messages_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc
from google.protobuf import field_mask_pb2

from services import SERVICES
from tests.support.calls import eventually
from tests.support.processes import ROOT
from tests.support.sql import fetch_sync
from tests.support.system import System, free_block

# A start from nothing, on a machine with other work.
pytestmark = pytest.mark.timeout(400)

COMPONENTS = [
    "postgres",
    "valkey",
    *SERVICES,
    "relay",
    "door",
    "worker-analysis",
    "worker-maintenance",
    "gateway",
]
HOURLY = "schedules/process-new-chat-vectors-hourly"


def schedules_of(system: System) -> dict[str, schedules_pb2.Schedule]:
    with system.channel("viewer") as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        listed = stub.ListSchedules(schedules_pb2.ListSchedulesRequest(page_size=100), timeout=30)
    return {schedule.name: schedule for schedule in listed.schedules}


def count_messages(system: System) -> int:
    [row] = fetch_sync(system.database_url, "SELECT count(*) FROM chat_messages")
    return int(row["count"])


def healthy(system: System) -> bool:
    return system.run("status").returncode == 0


def test_the_ready_line_comes_with_how_to_look_and_what_runs_next(system: System) -> None:
    lines = system.output.splitlines()
    [ready] = [number for number, line in enumerate(lines) if line.startswith("ready")]
    assert f"https://127.0.0.1:{system.port}" in lines[ready]
    shown = "\n".join(lines[ready:])
    for command in (
        "make -s token ROLE=admin",
        ".venv/bin/celeriac login --target",
        "with curl and grpcurl: docs/gateway.md",
    ):
        assert command in shown
    assert "What runs next (Asia/Taipei" in shown
    for name in schedules_of(system):
        assert re.search(rf"{name.removeprefix('schedules/')} +20\d\d-\d\d-\d\d \d\d:\d\d", shown), shown


def test_the_lines_to_copy_work_as_they_are_printed(system: System, tmp_path: Path) -> None:
    [shown] = re.findall(r"^How to look.*\n((?:  .*\n)+)", system.output, re.MULTILINE)
    assert shown.count("celeriac login") == shown.count("celeriac status") == 1
    assert all(len(line) <= 100 for line in shown.splitlines())
    # The contexts of whoever runs the tests are left alone.
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    told = subprocess.run(["bash", "-c", shown], cwd=ROOT, env=environment, capture_output=True, text=True)
    # 1: not all is healthy at this moment.
    assert told.returncode in (0, 1), told.stderr
    assert HOURLY.removeprefix("schedules/") in told.stdout


def test_status_tells_of_every_component_and_that_all_are_healthy(system: System) -> None:
    told = system.run("status")
    assert told.returncode == 0, told.stdout + told.stderr
    rows = [line.split() for line in told.stdout.partition("\n\n")[0].splitlines()[2:]]
    assert [row[0] for row in rows] == COMPONENTS
    assert {(row[1], row[2]) for row in rows} == {("running", "healthy")}
    assert all(psutil.pid_exists(int(row[3])) for row in rows)


def test_status_tells_what_goes_on_and_how_to_look_again(system: System) -> None:
    with system.channel("admin") as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        stub.TriggerSchedule(
            schedules_pb2.TriggerScheduleRequest(name="schedules/cleanup-cache-daily"), timeout=30
        )

    wanted = [
        r"^  \d\d-\d\d \d\d:\d\d:\d\d  SUCCESS +\w+",
        *(rf"^  {queue} +\d+ waiting +\d+ at workers$" for queue in ("ai_analysis", "maintenance", "health")),
    ]

    def shows_a_task_and_the_queues() -> str:
        told = system.run("status").stdout
        return told if all(re.search(line, told, re.MULTILINE) for line in wanted) else ""

    shown = eventually(shows_a_task_and_the_queues, 90)
    assert "Recent failures: none." in shown
    [upcoming] = re.findall(r"^What runs next \(Asia/Taipei.*\n((?:  .*\n)+)", shown, re.MULTILINE)
    times = re.findall(r"20\d\d-\d\d-\d\d \d\d:\d\d", upcoming)
    assert len(times) == 5 and times == sorted(times)
    assert "make -s token ROLE=admin" in shown


def test_the_first_start_gives_five_schedules_and_a_sample_chat(system: System) -> None:
    found = schedules_of(system)
    assert len([schedule for schedule in found.values() if schedule.labels["origin"] == "standard"]) == 5
    assert {schedule.timing.time_zone for schedule in found.values()} == {"Asia/Taipei"}
    assert count_messages(system) >= 300
    with system.channel("viewer") as channel:
        request = messages_pb2.ListMessagesRequest(page_size=1)
        assert messages_pb2_grpc.MessageServiceStub(channel).ListMessages(request, timeout=30).messages


def test_logs_show_each_process_or_one(system: System) -> None:
    shown = system.run("logs", "--no-follow", "--long").stdout
    for component in COMPONENTS:
        assert re.search(rf"^{component} +\| ", shown, re.MULTILINE), component
    only = system.run("logs", "--no-follow", "--long", "--name", "scheduler").stdout
    assert only and all(line.startswith("scheduler ") for line in only.splitlines())
    unknown = system.run("logs", "--no-follow", "--name", "beat")
    assert unknown.returncode == 1
    assert "NAME=beat has no log" in unknown.stderr and "scheduler" in unknown.stderr


def test_a_second_copy_in_the_same_folder_is_refused(system: System) -> None:
    told = System(system.state, free_block()).run("up")
    assert told.returncode == 1
    assert (
        f"{system.state} is in use by a running copy (process {system.process and system.process.pid})"
        in told.stderr
    )
    assert "make up CELERIAC_STATE_DIR=" in told.stderr


def test_a_second_copy_on_the_same_ports_is_told_which_and_what_to_set(
    system: System, tmp_path: Path
) -> None:
    told = System(tmp_path / "other", system.port).run("up")
    assert told.returncode == 1
    assert f"port {system.port} (gateway) on 127.0.0.1 is taken by process" in told.stderr
    assert "make up CELERIAC_GATEWAY_PORT=" in told.stderr


def test_status_and_down_say_so_when_nothing_runs(tmp_path: Path) -> None:
    nothing = System(tmp_path / "nothing")
    told = nothing.run("status")
    assert told.returncode != 0 and "nothing runs in" in told.stdout
    told = nothing.run("down")
    assert told.returncode == 0 and "nothing runs in" in told.stdout


@pytest.mark.parametrize(
    "component", ["scheduler", "relay", "door", "worker-maintenance", "valkey", "postgres", "gateway"]
)
def test_a_component_that_is_killed_comes_back(system: System, component: str) -> None:
    first = system.pid_of(component)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: system.pid_of(component) not in (None, first))
    eventually(lambda: healthy(system), 90)
    [row] = [line for line in system.run("status").stdout.splitlines() if line.startswith(component)]
    assert re.search(r" [1-9]\d* +was killed by SIGKILL", row), row
    assert f"{component} was killed by SIGKILL; started again in" in system.output


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each is started by its own command")
def test_our_processes_share_their_imports_and_ps_tells_them_apart(system: System) -> None:
    shown = {
        **{service: f"-m services.{service} serve" for service in (*SERVICES, "door")},
        "relay": "-m services.monitor relay",
        "worker-analysis": "worker-analysis@celeriac",
        "worker-maintenance": "worker-maintenance@celeriac",
    }
    for component, title in shown.items():
        process = psutil.Process(system.pid_of(component))
        assert title in " ".join(process.cmdline())
        # A forked process was given its own variables when it was one already.
        assert "CELERIAC_LISTEN" not in process.environ(), component
    assert "is started by its own command" not in system.output


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no nursery")
def test_a_nursery_that_is_killed_stops_nothing_and_what_dies_afterwards_comes_back(system: System) -> None:
    assert system.process is not None
    before = {component: system.pid_of(component) for component in COMPONENTS}
    [nursery] = [
        child
        for child in psutil.Process(system.process.pid).children()
        if "deploy.standalone.nursery" in " ".join(child.cmdline())
    ]
    nursery.kill()
    eventually(lambda: "the nursery was killed by SIGKILL; from now on" in system.output)
    os.kill(before["audit"] or 0, signal.SIGKILL)
    eventually(lambda: system.pid_of("audit") not in (None, before["audit"]))
    eventually(lambda: healthy(system), 90)
    after = {component: system.pid_of(component) for component in COMPONENTS}
    assert {name for name in COMPONENTS if after[name] != before[name]} == {"audit"}


def test_a_service_role_writes_its_own_tables_and_the_audit_log_is_never_changed(system: System) -> None:
    async def refused(role: str, statement: str) -> bool:
        connection = await asyncpg.connect(system.database_url_of(role))
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            return True
        finally:
            await connection.close()
        return False

    for role, statement in [
        ("celeriac_embedder", "DELETE FROM celery_schedules"),
        ("celeriac_monitor", "UPDATE chat_messages SET text = ''"),
        ("celeriac_scheduler", "INSERT INTO celery_audit_checkpoints VALUES (0, '', '{}', '')"),
        ("celeriac_scheduler", "CREATE TABLE mine (id int)"),
        ("celeriac_audit", "DELETE FROM celery_audit_logs"),
        ("celeriac_audit", "UPDATE celery_audit_logs SET actor = 'nobody'"),
        ("postgres", "DELETE FROM celery_audit_logs"),
        ("postgres", "TRUNCATE celery_audit_checkpoints"),
    ]:
        assert asyncio.run(refused(role, statement)), f"{role}: {statement}"
    assert not asyncio.run(refused("celeriac_scheduler", "UPDATE celery_schedules SET labels = labels"))


def test_down_keeps_the_data_and_what_an_operator_changed_or_deleted_stays_so(system: System) -> None:
    change: Any = schedules_pb2.Schedule(name=HOURLY, description="ours now")
    with system.channel() as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        mask = field_mask_pb2.FieldMask(paths=["description"])
        stub.UpdateSchedule(
            schedules_pb2.UpdateScheduleRequest(schedule=change, update_mask=mask), timeout=30
        )
        name = "schedules/preload-vector-services-daily"
        stub.DeleteSchedule(schedules_pb2.DeleteScheduleRequest(name=name), timeout=30)
    messages = count_messages(system)
    output = system.output
    told = system.run("down")
    assert told.returncode == 0, told.stdout
    assert "the data stay in" in told.stdout
    assert system.process is not None and system.process.wait(10) == 0
    order = [
        line.partition("stopping ")[2]
        for line in system.output[len(output) :].splitlines()
        if "| stopping " in line
    ]
    assert [sorted(stage.split(", ")) for stage in order] == [
        ["gateway"],
        ["worker-analysis", "worker-maintenance"],
        sorted([*SERVICES, "relay", "door"]),
        ["valkey"],
        ["postgres"],
    ]
    system.up()
    found = schedules_of(system)
    assert found[HOURLY].description == "ours now"
    assert "schedules/preload-vector-services-daily" not in found
    assert count_messages(system) == messages
    assert healthy(system)


def test_a_supervisor_that_is_killed_leaves_nothing_in_the_way_of_the_next_start(system: System) -> None:
    assert system.process is not None
    before = [system.pid_of(component) for component in COMPONENTS]
    system.process.kill()
    system.process.wait()
    assert system.run("status").returncode != 0
    system.up()
    assert healthy(system)
    assert not set(before) & {system.pid_of(component) for component in COMPONENTS}
    assert len(schedules_of(system)) >= 4
    assert dt.datetime.now(dt.UTC) < schedules_of(system)[HOURLY].next_run_time.ToDatetime(dt.UTC)


def test_a_wrong_setting_is_told_by_name_before_anything_starts(tmp_path: Path) -> None:
    copy = System(tmp_path / "new")
    for variable, value in (("CELERIAC_TIME_ZONE", "Mars"), ("CELERIAC_GATEWAY_RATE", "0")):
        told = copy.run("up", **{variable: value})
        assert told.returncode == 1
        assert f"  {variable}: " in told.stderr and "for example: " in told.stderr
    assert not (tmp_path / "new" / "postgres").exists()
