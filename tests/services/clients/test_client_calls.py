"""`celeriac.connect()` before a server that speaks every contract: each method, its pages, its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celeriac
import celeriac.aio
import grpc
import pytest
from celeriac.calls.methods import method_at
from celeriac.scheduler.v1 import schedules_pb2
from celeriac.scheduler.v1.schedules import Run, Schedule

from deploy.standalone.certificates import ensure_certificates
from services.kernel.policy import policy_of
from tests.support.client_calls import CLIENT_METHODS, call_of
from tests.support.contract_server import METHODS, ContractServer, running_contract_server
from tests.support.refusals import Refusal

SERVICE = "/celeriac.scheduler.v1.ScheduleService"
UNARY = [path for path, method in CLIENT_METHODS.items() if not method.server_streaming]


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ContractServer]:
    with running_contract_server(certificates) as server:
        yield server


@pytest.fixture
def client(server: ContractServer, certificates: Path) -> Iterator[celeriac.Client]:
    server.answers.clear()
    server.arrived.clear()
    with celeriac.connect(f"127.0.0.1:{server.port}", token="x", ca=certificates / "ca.pem") as client:
        yield client


@pytest.mark.parametrize("path", UNARY)
def test_each_method_of_the_contracts_can_be_called(
    client: celeriac.Client, server: ContractServer, path: str
) -> None:
    answer = call_of(client, path)
    if hasattr(answer, "all"):
        assert answer.all() == []
    assert len(server.requests(path)) == 1


def test_each_method_can_be_awaited(server: ContractServer, certificates: Path) -> None:
    server.arrived.clear()

    async def all_of_them() -> None:
        target = f"127.0.0.1:{server.port}"
        async with celeriac.aio.connect(target, token="x", ca=certificates / "ca.pem") as client:
            for path in UNARY:
                answer = call_of(client, path)
                await (answer.all() if hasattr(answer, "all") else answer)

    asyncio.run(all_of_them())
    assert sorted(path for path, _ in server.arrived) == sorted(UNARY)


@pytest.mark.parametrize("path", UNARY)
def test_a_call_may_take_as_long_as_its_contract_lets_it(path: str) -> None:
    method = METHODS[path]
    module = method.containing_service.file.name.replace(".proto", "_pb2").replace("/", ".")
    assert method_at(path, module).seconds == (
        None if method.client_streaming else policy_of(method).timeout_seconds or 15
    )


def test_a_list_fetches_its_pages_as_it_is_read(client: celeriac.Client, server: ContractServer) -> None:
    names = [f"schedules/s{number}" for number in range(5)]
    server.answers[f"{SERVICE}/ListSchedules"] = _pages(server, names, 2)
    assert [schedule.name for schedule in client.schedules.list(text="s")] == names
    requests = server.requests(f"{SERVICE}/ListSchedules")
    assert [request.page_token for request in requests] == ["", "2", "4"]
    assert {request.text for request in requests} == {"s"}


def test_a_list_with_a_limit_asks_for_no_more_than_that(
    client: celeriac.Client, server: ContractServer
) -> None:
    server.answers[f"{SERVICE}/ListSchedules"] = _pages(server, [f"schedules/s{n}" for n in range(5)], 2)
    assert len(client.schedules.list(limit=3).all()) == 3
    assert [request.page_size for request in server.requests(f"{SERVICE}/ListSchedules")] == [3, 3]


def test_a_list_that_is_awaited_fetches_its_pages_too(server: ContractServer, certificates: Path) -> None:
    server.answers[f"{SERVICE}/ListSchedules"] = _pages(server, ["schedules/a", "schedules/b"], 1)

    async def listed() -> list[str]:
        target = f"127.0.0.1:{server.port}"
        async with celeriac.aio.connect(target, ca=certificates / "ca.pem") as client:
            return [schedule.id async for schedule in client.schedules.list()]

    assert asyncio.run(listed()) == ["a", "b"]


def _pages(server: ContractServer, names: list[str], size: int) -> Any:
    def answer(request: Any) -> Any:
        start = int(request.page_token or 0)
        page = [schedules_pb2.Schedule(name=name) for name in names[start : start + size]]
        more = str(start + size) if start + size < len(names) else ""
        return schedules_pb2.ListSchedulesResponse(schedules=page, next_page_token=more)

    return answer


def test_a_triggered_run_is_waited_for(client: celeriac.Client, server: ContractServer) -> None:
    run = schedules_pb2.Run(name="schedules/nightly/runs/r1", state=schedules_pb2.RUN_STATE_PUBLISHED)
    ended = schedules_pb2.Run(name=run.name, outcome=schedules_pb2.RUN_OUTCOME_FAILED, error="boom")
    looks = iter([run, run, ended])
    server.answers[f"{SERVICE}/TriggerSchedule"] = schedules_pb2.TriggerScheduleResponse(run=run)
    server.answers[f"{SERVICE}/GetRun"] = lambda _: schedules_pb2.GetRunResponse(run=next(looks))
    found = client.schedules.trigger("nightly").wait(timeout=30)
    assert isinstance(found, Run)
    assert (found.outcome, found.error) == ("FAILED", "boom")


def test_a_run_that_does_not_end_in_time_is_told(client: celeriac.Client, server: ContractServer) -> None:
    run = schedules_pb2.Run(name="schedules/nightly/runs/r1")
    server.answers[f"{SERVICE}/TriggerSchedule"] = schedules_pb2.TriggerScheduleResponse(run=run)
    server.answers[f"{SERVICE}/GetRun"] = schedules_pb2.GetRunResponse(run=run)
    with pytest.raises(celeriac.DeadlineExceeded, match="runs/r1 has not ended"):
        client.schedules.trigger("nightly").wait(timeout=0.2)


def test_a_run_is_waited_for_with_asyncio(server: ContractServer, certificates: Path) -> None:
    run = schedules_pb2.Run(name="schedules/nightly/runs/r1")
    ended = schedules_pb2.Run(name=run.name, outcome=schedules_pb2.RUN_OUTCOME_SUCCEEDED)
    server.answers[f"{SERVICE}/TriggerSchedule"] = schedules_pb2.TriggerScheduleResponse(run=run)
    server.answers[f"{SERVICE}/GetRun"] = schedules_pb2.GetRunResponse(run=ended)

    async def outcome() -> str | None:
        target = f"127.0.0.1:{server.port}"
        async with celeriac.aio.connect(target, ca=certificates / "ca.pem") as client:
            return (await (await client.schedules.trigger("nightly")).wait(30)).outcome

    assert asyncio.run(outcome()) == "SUCCEEDED"


def test_the_token_is_asked_for_before_each_call(server: ContractServer, certificates: Path) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(len(asked))
        return f"t{len(asked)}"

    with celeriac.connect(f"127.0.0.1:{server.port}", token=token, ca=certificates / "ca.pem") as client:
        client.schedules.get("a")
        client.schedules.get("b")
    assert len(asked) == 2


def test_a_schedule_that_was_read_can_be_changed_and_sent_back(
    client: celeriac.Client, server: ContractServer
) -> None:
    stored = schedules_pb2.Schedule(name="schedules/nightly", description="old")
    stored.timing.crontab.expression = "0 3 * * *"
    server.answers[f"{SERVICE}/GetSchedule"] = schedules_pb2.GetScheduleResponse(schedule=stored)
    found = client.schedules.get("nightly")
    assert isinstance(found, Schedule)
    client.schedules.update({**found.to_dict(), "description": "new"}, update_mask=["description"])
    [request] = server.requests(f"{SERVICE}/UpdateSchedule")
    stored.description = "new"
    assert request.schedule == stored
    assert list(request.update_mask.paths) == ["description"]


def test_a_certificate_of_another_authority_is_told_in_a_sentence(
    server: ContractServer, tmp_path: Path
) -> None:
    ensure_certificates(tmp_path)
    target = f"127.0.0.1:{server.port}"
    with (
        celeriac.connect(target, ca=tmp_path / "ca.pem") as client,
        pytest.raises(celeriac.Unavailable, match="is not signed by the authority in `ca`") as failed,
    ):
        client.schedules.pause("nightly")
    assert not failed.value.outcome_unknown


def test_an_error_of_the_function_that_gives_the_token_is_the_callers(
    server: ContractServer, certificates: Path
) -> None:
    def token() -> str:
        raise LookupError("no sign-in")

    with (
        celeriac.connect(f"127.0.0.1:{server.port}", token=token, ca=certificates / "ca.pem") as client,
        pytest.raises(LookupError, match="no sign-in"),
    ):
        client.system.get_info()


def test_what_the_service_says_of_an_error_is_in_the_exception(
    client: celeriac.Client, server: ContractServer
) -> None:
    server.answers[f"{SERVICE}/GetSchedule"] = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "2 faults", "INVALID_FIELDS", {"name": "is too long"}
    )
    with pytest.raises(celeriac.InvalidArgument, match=r"2 faults \[INVALID_FIELDS\]") as failed:
        client.schedules.get("a")
    error = failed.value
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert (error.fields, error.request_id) == ({"name": "is too long"}, "r-4711")
    assert not error.outcome_unknown
