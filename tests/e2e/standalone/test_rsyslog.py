"""Debian's rsyslog takes the lines of the running system by deploy/logs/rsyslog.conf, and sends them on."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.support.calls import eventually
from tests.support.log_lines import fault_of
from tests.support.processes import ROOT
from tests.support.system import System

CONFIGURATION = ROOT / "deploy/logs/rsyslog.conf"
RSYSLOG = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# RFC 5424: priority, version, time, host, application, process, message id, structured data, message.
SYSLOG = re.compile(r"<(\d+)>1 (\S+) (\S+) (\S+) - (\S+) - @cee: (\{.*\})")
# Facility local0, and the severity of each level.
PRIORITIES = {"debug": 135, "info": 134, "warning": 132, "error": 131, "critical": 130}

pytestmark = pytest.mark.skipif(RSYSLOG is None, reason="rsyslogd is not installed (apt-get install rsyslog)")


class Receiver:
    """Takes what rsyslog sends: one connection, a message in each line."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._received = bytearray()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        try:
            connection, _ = self._socket.accept()
            with connection:
                while part := connection.recv(65536):
                    self._received += part
        except OSError:
            pass  # The test is over.

    def messages(self) -> list[str]:
        whole = bytes(self._received).rpartition(b"\n")[0]
        return whole.decode().splitlines()

    def close(self) -> None:
        self._socket.close()


def environment_of(system: System, port: int, work: Path) -> dict[str, str]:
    settings = {"CELERIAC_LOGS": str(system.state / "logs"), "CELERIAC_SYSLOG_WORK": str(work)}
    return {**os.environ, **settings, "CELERIAC_SYSLOG_HOST": "127.0.0.1", "CELERIAC_SYSLOG_PORT": str(port)}


@pytest.fixture
def received(system: System, tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver()
    environment = environment_of(system, receiver.port, tmp_path)
    command = [str(RSYSLOG), "-n", "-i", str(tmp_path / "pid"), "-f", str(CONFIGURATION)]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    try:
        yield receiver
    finally:
        process.terminate()
        process.wait(30)
        receiver.close()
    assert (tmp_path / "said").read_text() == ""


def test_the_configuration_has_no_fault(system: System, tmp_path: Path) -> None:
    command = [str(RSYSLOG), "-N1", "-f", str(CONFIGURATION)]
    checked = subprocess.run(
        command, env=environment_of(system, 514, tmp_path), capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"error|warning", checked.stderr, re.IGNORECASE), checked.stderr


def test_time_level_and_ids_of_each_line_arrive(system: System, received: Receiver) -> None:
    request_id = f"ticket-{uuid.uuid4().hex}"
    with system.channel("admin") as channel:
        schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
        request = pb.TriggerScheduleRequest(name="schedules/cleanup-cache-daily")
        run = schedules.TriggerSchedule(request, timeout=60, metadata=(("x-request-id", request_id),)).run

    def of_the_call() -> dict[str, tuple[re.Match[str], dict[str, Any]]]:
        found = [SYSLOG.fullmatch(message) for message in received.messages() if request_id in message]
        assert None not in found, received.messages()
        return {match[5]: (match, json.loads(match[6])) for match in found if match is not None}

    wanted = {"gateway.answered", "run.triggered", "rpc.answered", "task.ended"}
    assert eventually(lambda: of_the_call().keys() >= wanted, 90), of_the_call()
    for match, line in of_the_call().values():
        assert fault_of(json.dumps(line)) == ""
        assert (line["timestamp"], line["request_id"]) == (match[2], request_id)
        assert match[4] == f"celeriac-{line['service']}"
        assert int(match[1]) == PRIORITIES[line["level"]]
    _, ended = of_the_call()["task.ended"]
    assert (ended["task_id"], ended["run"]) == (run.task.removeprefix("tasks/"), run.name)


def test_all_lines_of_our_processes_arrive_and_no_others(system: System, received: Receiver) -> None:
    def written() -> int:
        files = (system.state / "logs").glob("*.log")
        return sum(line.startswith(b"{") for file in files for line in file.read_bytes().splitlines())

    assert eventually(lambda: 0 < written() == len(received.messages()), 90), len(received.messages())
    assert [message for message in received.messages() if not SYSLOG.fullmatch(message)] == []
