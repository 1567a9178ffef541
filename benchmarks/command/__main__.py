"""What a call of the command `celeriac` costs: CPU of help, of a list, and of `celeriac watch`.

The peer of help and of lists is `python -c "import grpc"`, which any client of a gRPC service pays. The
system is a server of the test support with 80 schedules, so that what is measured is the command. The figures
are the least of several runs, as other processes only add to them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import resource
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from celeriac.monitor.v1 import monitoring_pb2, tasks_pb2
from celeriac.scheduler.v1 import schedules_pb2

from benchmarks import supervised
from benchmarks.report import Measure, quick, report
from deploy.standalone.certificates import ensure_certificates
from tests.support.contract_server import ContractServer, running_contract_server

COMMAND = str(Path(sys.executable).with_name("celeriac"))
SCHEDULES = 80
CHANGES_A_SECOND = 500
WATCH_SECONDS = 15.0
# Before it is measured, the screen has been drawn.
WARM_UP_SECONDS = 6.0
HELP_GOAL_MS, LIST_GOAL_MS, WATCH_GOAL = 100.0, 250.0, 10.0


def cpu_ms(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Returns the least CPU time of several runs, in milliseconds."""
    found = []
    for _ in range(5 if quick() else 15):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * min(found)


def answer_as_a_system_would(server: ContractServer) -> None:
    """80 schedules with Chinese texts, and a stream of 500 changes a second."""
    schedules = [
        schedules_pb2.Schedule(name=f"schedules/report-{n:02d}", description="每日凌晨產生前一日的摘要")
        for n in range(SCHEDULES)
    ]
    server.answers["/celeriac.scheduler.v1.ScheduleService/ListSchedules"] = (
        schedules_pb2.ListSchedulesResponse(schedules=schedules)
    )
    server.answers["/celeriac.monitor.v1.MonitoringService/WatchEvents"] = _changes


def _changes(_: Any) -> Iterator[monitoring_pb2.WatchEventsResponse]:
    first = 0
    while True:
        tasks = [
            tasks_pb2.Task(
                name=f"tasks/{number:012d}",
                task_name="報表.產生每日摘要",
                queue="queues/ai_analysis",
                state=tasks_pb2.TASK_STATE_FAILURE,
                exception_type="KeyError",
                exception_message="語音辨識",
            )
            for number in range(first, first + CHANGES_A_SECOND)
        ]
        changes = monitoring_pb2.TaskChanges(tasks=tasks)
        yield monitoring_pb2.WatchEventsResponse(tasks=changes, cursor=str(first))
        first += CHANGES_A_SECOND
        time.sleep(1)


def watch_share(environment: Mapping[str, str]) -> float:
    """Returns the CPU that `celeriac watch` takes on a terminal of 200 columns, in % of a core."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    known = {**environment, "TERM": "xterm-256color"}
    process = subprocess.Popen([COMMAND, "watch"], stdin=theirs, stdout=theirs, stderr=theirs, env=known)
    threading.Thread(target=_read_on, args=(ours,), daemon=True).start()
    try:
        time.sleep(WARM_UP_SECONDS)
        before, begun = _cpu_of(process.pid), time.monotonic()
        time.sleep(WATCH_SECONDS / 3 if quick() else WATCH_SECONDS)
        return 100 * (_cpu_of(process.pid) - before) / (time.monotonic() - begun)
    finally:
        process.kill()
        process.wait()


def _read_on(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        ensure_certificates(state)
        with running_contract_server(state) as server:
            answer_as_a_system_would(server)
            environment = {
                **os.environ,
                "CELERIAC_TARGET": f"127.0.0.1:{server.port}",
                "CELERIAC_CA": str(state / "ca.pem"),
                "CELERIAC_TOKEN": "x",
                "XDG_CACHE_HOME": folder,
            }
            report(_measures(environment))


def _measures(environment: Mapping[str, str]) -> list[Measure]:
    bare = cpu_ms([sys.executable, "-c", "pass"], environment)
    grpc = cpu_ms([sys.executable, "-c", "import grpc"], environment)
    found = []
    for words, goal in (
        ("--help", HELP_GOAL_MS),
        ("schedules list --help", HELP_GOAL_MS),
        ("schedules list", LIST_GOAL_MS),
        ("schedules list -o json", LIST_GOAL_MS),
    ):
        ours = cpu_ms([COMMAND, *words.split()], environment)
        told = f"at most {goal:.0f} ms over bare Python ({bare:.0f} ms)"
        found.append(Measure(words, ours, "ms", grpc, grpc / ours, told, ours - bare <= goal))
    share = watch_share(environment)
    told = f"less than {WATCH_GOAL:.0f} % of a core at {CHANGES_A_SECOND} changes a second"
    return [*found, Measure("watch", share, "% of a core", goal=told, met=share < WATCH_GOAL)]


if __name__ == "__main__":
    supervised.run(main)
