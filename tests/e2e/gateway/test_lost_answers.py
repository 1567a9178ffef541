"""The network dies before the answer is back: what has happened by then, behind the gateway."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac import connect_blocking
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc, schedules_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually
from tests.support.configurations import CHUNKS
from tests.support.gateway import Gateway, running_gateway
from tests.support.proxy import Proxy
from tests.support.schedules import CRONTAB, HOUR, at, schedule_of


@dataclass
class Stubs:
    """The scheduler's services by a channel of the client package."""

    channel: grpc.Channel

    def __post_init__(self) -> None:
        self.schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(self.channel)
        self.config: Any = config_pb2_grpc.ConfigServiceStub(self.channel)
        self.audit: Any = audit_pb2_grpc.AuditServiceStub(self.channel)

    def runs(self, name: str) -> Any:
        return self.schedules.ListRuns(pb.ListRunsRequest(parent=name)).runs

    def backfills(self, name: str) -> Any:
        return self.schedules.ListBackfills(pb.ListBackfillsRequest(parent=name)).backfills

    def exists(self, name: str) -> bool:
        request = pb.ListSchedulesRequest(text=name.removeprefix("schedules/"))
        return bool(self.schedules.ListSchedules(request).schedules)

    def revisions(self) -> Any:
        return self.config.ListConfigRevisions(config_pb2.ListConfigRevisionsRequest(parent=CHUNKS)).revisions

    def recorded(self, method: str, resource: str) -> list[Any]:
        """The calls of the method on a resource, as the audit log has them."""
        request = audit_pb2.ListRecordsRequest(resources=[resource])
        return [one for one in self.audit.ListRecords(request).records if one.method.endswith(method)]


@pytest.fixture
def direct(gateway: Gateway, admin: str) -> Iterator[Stubs]:
    with gateway.channel(admin) as channel:
        yield Stubs(channel)


@dataclass
class Flaky:
    """Calls over a network that loses answers."""

    proxy: Proxy
    stubs: Stubs

    def call(self, call: Callable[[Any], Any], request: Any, has_happened: Callable[[], object]) -> Any:
        """One call whose answer is lost with its connection as soon as it has had its effect."""
        self.proxy.deafen()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(call, request)
            try:
                eventually(has_happened)
            finally:
                self.proxy.heal()
            return answer.result()


@pytest.fixture
def flaky(gateway: Gateway, admin: str, certificates: Path) -> Iterator[Flaky]:
    with (
        Proxy(gateway.port).running() as proxy,
        connect_blocking(f"127.0.0.1:{proxy.port}", token=admin, ca=certificates / "ca.pem") as channel,
    ):
        grpc.channel_ready_future(channel).result(10)
        yield Flaky(proxy, Stubs(channel))


@pytest.fixture
def name(direct: Stubs) -> str:
    """A schedule that has many due times behind it."""
    schedule = schedule_of(CRONTAB)
    direct.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    return schedule.name


def test_a_schedule_is_triggered_once_and_the_run_is_told(flaky: Flaky, direct: Stubs, name: str) -> None:
    request = pb.TriggerScheduleRequest(name=name)
    told = flaky.call(flaky.stubs.schedules.TriggerSchedule, request, lambda: direct.runs(name)).run
    assert [run.name for run in direct.runs(name)] == [told.name]


def test_a_schedule_is_created_once_and_not_found_to_exist_already(flaky: Flaky, direct: Stubs) -> None:
    schedule = schedule_of(CRONTAB)
    request = pb.CreateScheduleRequest(schedule=schedule)
    told = flaky.call(
        flaky.stubs.schedules.CreateSchedule, request, lambda: direct.exists(schedule.name)
    ).schedule
    assert told == direct.schedules.GetSchedule(pb.GetScheduleRequest(name=schedule.name)).schedule


def test_a_backfill_is_begun_once_and_told(flaky: Flaky, direct: Stubs, name: str) -> None:
    now = dt.datetime.now(dt.UTC)
    request = pb.BackfillScheduleRequest(name=name, start_time=at(now - 72 * HOUR), end_time=at(now))
    told = flaky.call(
        flaky.stubs.schedules.BackfillSchedule, request, lambda: direct.backfills(name)
    ).backfill
    assert [backfill.name for backfill in direct.backfills(name)] == [told.name]


def test_a_setting_is_changed_once_and_told(flaky: Flaky, direct: Stubs) -> None:
    before = len(direct.revisions())
    request = config_pb2.SetConfigRequest(name=CHUNKS, value={"int_value": 12_345 + before})
    told = flaky.call(flaky.stubs.config.SetConfig, request, lambda: len(direct.revisions()) > before).config
    assert len(direct.revisions()) == before + 1
    assert told.value == request.value


def test_a_deletion_is_made_once_and_its_caller_is_told_that_the_answer_was_lost(
    flaky: Flaky, direct: Stubs, name: str
) -> None:
    request = pb.DeleteScheduleRequest(name=name)
    with pytest.raises(grpc.RpcError) as failed:
        flaky.call(flaky.stubs.schedules.DeleteSchedule, request, lambda: not direct.exists(name))
    error: Any = failed.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert len(eventually(lambda: direct.recorded("DeleteSchedule", name))) == 1


def test_the_gateway_does_not_send_a_call_again_that_had_reached_its_service(
    services: Services, certificates: Path, admin: str, direct: Stubs, name: str
) -> None:
    with (
        Proxy(services.ports["scheduler"]).running() as proxy,
        running_gateway(
            certificates, {**services.ports, "scheduler": proxy.port}, health_from="scheduler"
        ) as gateway,
        gateway.channel(admin) as channel,
    ):
        flaky = Flaky(proxy, Stubs(channel))
        flaky.stubs.runs(name)
        # Not through the client package: the gateway alone is looked at.
        path = f"/v1/{name}:trigger"
        answer = flaky.call(
            lambda body: gateway.rest("POST", path, body, admin), {}, lambda: direct.runs(name)
        )
        assert answer.status == 503
        assert gateway.rest("GET", f"/v1/{name}", token=admin).status == 200
        assert len(direct.runs(name)) == 1
