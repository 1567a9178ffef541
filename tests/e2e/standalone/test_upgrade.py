"""The procedure of docs/operating.md, from the commit at which the contracts were released to this one."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import grpc
import pyotp
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.embedder.v1 import search_pb2, search_pb2_grpc
from celeriac.monitor.v1 import system_pb2, system_pb2_grpc, tasks_pb2, tasks_pb2_grpc
from celeriac.operations.v1 import operations_pb2, operations_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as schedules
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.support.calls import eventually
from tests.support.processes import ROOT
from tests.support.system import System

pytestmark = [pytest.mark.alone, pytest.mark.soak, pytest.mark.timeout(900)]

RELEASE = "protos/released.binpb"
EACH_SECOND = "schedules/each-second"
EMBEDS = "schedules/process-new-chat-vectors-hourly"
QUESTION = "我想把發票捐出去，要怎麼設定愛心碼"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the released version, set up as its users do."""
    folder = tmp_path_factory.mktemp("release")
    found = _git("log", "-1", "--format=%H", "--", RELEASE)
    if found is None or not found.stdout.strip():
        pytest.skip(f"the history of git is not here, which tells of what commit {RELEASE} is")
    archive = folder / "release.tar"
    if _git("archive", f"--output={archive}", found.stdout.strip()) is None:
        pytest.skip("the commit of the release is not in this clone")
    checkout = folder / "celeriac"
    checkout.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", checkout], check=True)
    made = subprocess.run(["make", "setup"], cwd=checkout, capture_output=True, text=True, timeout=600)
    if made.returncode:
        pytest.skip(f"what the release needs can't be installed here: {made.stderr[-300:]}")
    return checkout


def _git(*arguments: str) -> subprocess.CompletedProcess[str] | None:
    """None if there is no git, or none of this project."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done if done.returncode == 0 else None


@pytest.fixture(scope="module")
def old(release: Path) -> Iterator[System]:
    """The released version, with something in it."""
    # Short: a Unix socket is below it.
    with tempfile.TemporaryDirectory(prefix="celeriac-", dir="/tmp") as folder:
        running = System(Path(folder) / "state", checkout=release)
        try:
            running.up()
            yield running
        finally:
            running.interrupt()


class Seen:
    """What an operator sees of a system."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
        self.system: Any = system_pb2_grpc.SystemServiceStub(channel)

    def create_each_second(self) -> None:
        schedule = schedules.Schedule(
            name=EACH_SECOND,
            task=schedules.TaskSpec(task_name="report_worker_health", queue="queues/health"),
            timing=schedules.Timing(interval=schedules.Interval(every={"seconds": 1})),
        )
        self._schedules.CreateSchedule(schedules.CreateScheduleRequest(schedule=schedule))

    def embed_the_sample_chat(self) -> None:
        self._schedules.TriggerSchedule(schedules.TriggerScheduleRequest(name=EMBEDS))

    def definitions(self) -> dict[str, bytes]:
        """Each definition by name."""
        answer = self._schedules.ListSchedules(schedules.ListSchedulesRequest(page_size=100))
        return {
            each.name: each.task.SerializeToString(deterministic=True)
            + each.timing.SerializeToString(deterministic=True)
            for each in answer.schedules
        }

    def published(self) -> list[schedules.Run]:
        """The runs of each second that were sent, the newest first."""
        request = schedules.ListRunsRequest(
            parent=EACH_SECOND, states=[schedules.RUN_STATE_PUBLISHED], page_size=1000
        )
        return list(self._schedules.ListRuns(request).runs)

    def ended_well(self, run: schedules.Run) -> bool:
        stub: Any = tasks_pb2_grpc.TaskServiceStub(self._channel)
        try:
            task = stub.GetTask(tasks_pb2.GetTaskRequest(name=run.task)).task
        except grpc.RpcError:
            return False
        return bool(task.state == tasks_pb2.TASK_STATE_SUCCESS)

    def nearest(self, text: str) -> list[str]:
        stub: Any = search_pb2_grpc.SearchServiceStub(self._channel)
        found = stub.SearchMessages(search_pb2.SearchMessagesRequest(text=text, k=1)).results
        return [hit.message.text for hit in found]

    def audit(self) -> audit_pb2.VerifyResponse:
        stub: Any = audit_pb2_grpc.AuditServiceStub(self._channel)
        verified: audit_pb2.VerifyResponse = stub.Verify(audit_pb2.VerifyRequest())
        return verified

    def unhealthy(self) -> list[str]:
        answer = self.system.GetStatus(system_pb2.GetStatusRequest())
        return [
            f"{each.component}: {each.detail}"
            for each in answer.components
            if each.health not in (system_pb2.HEALTH_HEALTHY, system_pb2.HEALTH_DEGRADED)
        ]

    def wait(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        stub: Any = operations_pb2_grpc.OperationServiceStub(self._channel)
        request = operations_pb2.WaitOperationRequest(name=operation.name, timeout={"seconds": 60})
        ended: operations_pb2.Operation = stub.WaitOperation(request).operation
        return ended


def came_once(runs: list[schedules.Run]) -> bool:
    due = [run.due_time.ToNanoseconds() for run in runs]
    return len(due) == len(set(due))


def super_admin(system: System) -> grpc.Channel:
    """A channel of one who has just shown the second factor of `make token`."""
    [uri] = [word for word in system.run("enrol").stdout.split() if word.startswith("otpauth://")]
    code = pyotp.TOTP(parse_qs(urlparse(uri).query)["secret"][0]).now()
    token = system.run("token", "super_admin", "--otp", code).stdout.strip()
    return system.channel_of(token)


def test_from_the_release_to_this_version_nothing_is_lost_and_all_goes_on(old: System) -> None:
    with old.channel() as channel:
        before = Seen(channel)
        before.create_each_second()
        eventually(lambda: len(before.published()) >= 5, 60)
        last = before.published()[0]
        eventually(lambda: before.ended_well(last), 60)
        before.embed_the_sample_chat()
        eventually(lambda: before.nearest(QUESTION) == [QUESTION], 90)
        known, logged = before.definitions(), before.audit()
        assert logged.intact and logged.size > 0
    # It has no Drain yet: ended stage by stage, it sends nothing more, and its tasks end.
    assert old.interrupt() == 0

    new = replace(old, checkout=ROOT, process=None)
    try:
        new.up()
        with new.channel() as channel:
            after = Seen(channel)
            assert after.unhealthy() == []
            assert after.definitions() == known
            assert after.ended_well(last), "what the monitor knew"
            eventually(lambda: after.nearest(QUESTION) == [QUESTION], 60)
            newest = eventually(lambda: (runs := after.published()) and runs[0].name != last.name and runs)
            assert came_once(newest)
            eventually(lambda: after.ended_well(newest[0]), 60)
            verified = after.audit()
            assert verified.intact and verified.size > logged.size
        _rehearse_the_next(new)
    finally:
        new.interrupt()


def _rehearse_the_next(system: System) -> None:
    """The same from this version on, which has Drain: stop new tasks, wait, end, start, let new tasks run."""
    with system.channel() as channel:
        drained = Seen(channel).system.Drain(system_pb2.DrainRequest())
        ended = Seen(channel).wait(drained.operation)
        assert (ended.state, ended.failed) == (operations_pb2.OPERATION_STATE_DONE, 0)
        held = Seen(channel).published()[0]
    with super_admin(system) as channel:
        shut = Seen(channel).system.Shutdown(system_pb2.ShutdownRequest())
        assert Seen(channel).wait(shut.operation).state == operations_pb2.OPERATION_STATE_DONE
    with system.channel() as channel:
        assert Seen(channel).published()[0].name == held.name, "nothing is sent meanwhile"
    assert system.interrupt() == 0
    system.up()
    with system.channel() as channel:
        seen = Seen(channel)
        assert seen.unhealthy() == []
        runs = eventually(lambda: (runs := seen.published())[0].name != held.name and runs)
        assert came_once(runs)
        eventually(lambda: seen.ended_well(runs[0]), 60)
        assert seen.audit().intact
