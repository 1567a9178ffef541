"""The TypeScript client against a server that answers every method, and a network that loses answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celeriac.access.v1.repeatable import WITH_REQUEST_ID
from celeriac.operations.v1 import operations_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from protos.client_names import attribute_of, method_name
from protos.typescript_types import camel
from services.kernel.policy import policy_of
from tests.support.calls import eventually
from tests.support.client_calls import CLIENT_METHODS
from tests.support.contract_server import ContractServer, running_contract_server
from tests.support.proxy import Proxy
from tests.support.typescript import Caller, compiled_client, run_node, run_tool, running_caller

UNARY = {
    path: method
    for path, method in CLIENT_METHODS.items()
    if not method.client_streaming and not method.server_streaming
}
SENT_ONCE = [
    path for path, method in UNARY.items() if policy_of(method).audited and path not in WITH_REQUEST_ID
]
LIST, WATCH = (
    f"/celeriac.operations.v1.OperationService/{name}" for name in ("ListOperations", "WatchOperations")
)


@pytest.fixture(scope="module")
def build() -> Path:
    return compiled_client()


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ContractServer]:
    with running_contract_server(certificates) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: ContractServer) -> Iterator[Proxy]:
    with Proxy(server.port).running() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def caller(build: Path, proxy: Proxy, certificates: Path) -> Iterator[Caller]:
    with running_caller(build, f"127.0.0.1:{proxy.port}", certificates / "ca.pem") as caller:
        yield caller


def names_of(path: str) -> tuple[str, str]:
    method = CLIENT_METHODS[path]
    return camel(attribute_of(method.containing_service)), camel(method_name(method))


def call_losing_the_answer(
    caller: Caller, server: ContractServer, proxy: Proxy, path: str
) -> tuple[Any, list[Any]]:
    """Returns what the client said, and the requests that arrived."""
    caller.call("system", "checkHealth", {})
    before = len(server.requests(path))
    proxy.deafen()
    try:
        caller.ask(*names_of(path), {})
        eventually(lambda: len(server.requests(path)) > before)
    finally:
        proxy.heal()
    return caller.answer(), server.requests(path)[before:]


def test_it_has_a_method_for_each_of_the_contracts(caller: Caller, server: ContractServer) -> None:
    for path in UNARY:
        said = caller.call(*names_of(path), {})
        assert "result" in said, said
        assert server.requests(path), path


@pytest.mark.parametrize("path", WITH_REQUEST_ID)
def test_a_change_with_a_request_id_is_answered_by_the_second_try_under_the_same_id(
    caller: Caller, server: ContractServer, proxy: Proxy, path: str
) -> None:
    said, (first, second) = call_losing_the_answer(caller, server, proxy, path)
    assert "result" in said
    assert first == second
    assert len(first.request_id) >= 16


@pytest.mark.parametrize("path", SENT_ONCE)
def test_any_other_change_is_sent_once_and_the_error_says_that_it_may_have_happened(
    caller: Caller, server: ContractServer, proxy: Proxy, path: str
) -> None:
    said, arrived = call_losing_the_answer(caller, server, proxy, path)
    assert len(arrived) == 1
    assert said["error"]["name"] == "Unavailable", said
    assert said["error"]["outcomeUnknown"]
    assert said["error"]["method"] == path
    assert "it may have been carried out" in said["error"]["message"]


def test_a_change_that_never_left_is_not_said_to_have_happened(build: Path, certificates: Path) -> None:
    with running_caller(build, "127.0.0.1:1", certificates / "ca.pem") as caller:
        error = caller.call("schedules", "pause", "nightly")["error"]
    assert error["code"] == "UNAVAILABLE"
    assert error["message"].startswith("nothing answers at 127.0.0.1:1")
    assert not error["outcomeUnknown"]


def test_a_certificate_of_another_authority_is_told_in_a_sentence(
    build: Path, server: ContractServer, tmp_path: Path, certificates: Path
) -> None:
    stranger = tmp_path / "ca.pem"
    stranger.write_bytes((certificates / "certs/gateway.crt").read_bytes())
    with running_caller(build, f"127.0.0.1:{server.port}", stranger) as caller:
        error = caller.call("system", "checkHealth", {})["error"]
    assert "is not signed by the authority in `ca`" in error["message"], error


def test_a_gateway_that_froze_holds_a_call_no_longer_than_its_deadline(caller: Caller, proxy: Proxy) -> None:
    caller.call("system", "checkHealth", {})
    proxy.hang()
    try:
        error = caller.call("schedules", "get", "nightly", deadline="300ms")["error"]
    finally:
        proxy.heal()
    assert error["name"] == "DeadlineExceeded"


def test_an_error_has_its_reason_fields_request_id_and_when_to_come_back(
    caller: Caller, server: ContractServer
) -> None:
    class Refused(Exception):
        def __init__(self) -> None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(1500)
            violation = {"field": "name", "description": "too long"}
            details: list[Any] = [
                error_details_pb2.ErrorInfo(reason="FIELD_INVALID", metadata={"limit": "5"}),
                error_details_pb2.BadRequest(field_violations=[violation]),
                error_details_pb2.RequestInfo(request_id="abc"),
                retry,
            ]
            packed = [any_pb2.Any() for _ in details]
            for each, detail in zip(packed, details, strict=True):
                each.Pack(detail)
            self.status = status_pb2.Status(code=3, message="語音: name is too long", details=packed)

    def refuse(_: Any) -> Any:
        raise Refused

    path = "/celeriac.scheduler.v1.ScheduleService/GetSchedule"
    server.answers[path] = refuse
    try:
        error = caller.call("schedules", "get", "x")["error"]
    finally:
        del server.answers[path]
    assert (error["name"], error["reason"]) == ("InvalidArgument", "FIELD_INVALID")
    assert error["message"] == "語音: name is too long"
    assert (error["fields"], error["metadata"]) == ({"name": "too long"}, {"limit": "5"})
    assert (error["requestId"], error["retryAfter"]) == ("abc", 1500)


def test_a_list_fetches_page_after_page_up_to_its_limit(caller: Caller, server: ContractServer) -> None:
    def page(asked: Any) -> Any:
        start = int(asked.page_token or 0)
        found = [operations_pb2.Operation(name=f"operations/{start + n}") for n in range(2)]
        token = str(start + 2) if start < 4 else ""
        return operations_pb2.ListOperationsResponse(operations=found, next_page_token=token)

    server.answers[LIST] = page
    try:
        everything = caller.call("operations", "list", {"states": ["RUNNING"]})["result"]
        some = caller.call("operations", "list", {}, limit=3)["result"]
    finally:
        del server.answers[LIST]
    assert [each["id"] for each in everything] == ["0", "1", "2", "3", "4", "5"]
    assert [each["id"] for each in some] == ["0", "1", "2"]
    assert list(server.requests(LIST)[-3].states) == [operations_pb2.OPERATION_STATE_RUNNING]


def test_a_watch_goes_on_after_its_last_event_and_tells_what_is_missing(
    caller: Caller, server: ContractServer
) -> None:
    def stream(asked: Any) -> list[Any]:
        start = int(asked.cursor or 0)
        message = operations_pb2.WatchOperationsResponse
        return [
            message(cursor=str(start)),
            message(cursor=str(start + 1), operation={"name": f"operations/{start + 1}"}),
            message(cursor=str(start + 2), operation={"name": f"operations/{start + 2}"}, left_out_count=7),
        ]

    server.answers[WATCH] = stream
    try:
        found = caller.call("operations", "watch", {"kinds": ["x"]}, events=6)["result"]
    finally:
        del server.answers[WATCH]
    told = [each.get("count") or each["operation"]["id"] for each in found]
    assert told == ["1", 7, "2", "3", 7, "4"]
    assert [each["type"] for each in found[:2]] == ["operation", "gap"]
    assert [asked.cursor for asked in server.requests(WATCH)] == ["", "2"]
    assert list(server.requests(WATCH)[-1].kinds) == ["x"]


def test_what_callers_give_and_read(build: Path) -> None:
    run_node("--test", str(build / "test/values.test.js"))


def test_its_code_has_one_form() -> None:
    run_tool("prettier", "--check", ".")
