"""Every REST form of the contracts: a request with all fields arrives, one with a wrong field does not."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celeriac.monitor.v1 import tasks_pb2
from celeriac.scheduler.v1 import schedules_pb2
from google.protobuf.message_factory import GetMessageClass

from deploy.envoy import GatewaySettings, write_gateway_config
from deploy.envoy.contracts import installed_contracts, methods_of
from deploy.envoy.generate import REST_SCRIPT
from deploy.standalone.tokens import LocalIssuer
from services import SERVICES
from tests.support.gateway import Answer, Gateway, running_gateway
from tests.support.ports import free_port
from tests.support.receiver import Receiver, receiving
from tests.support.rest_requests import RestForm, rest_forms

CONTRACTS = installed_contracts()
FORMS = rest_forms(CONTRACTS)
WITH_BODY = [form for form in FORMS if form.body]
SCHEDULES = "/v1/schedules"
CREATE = "/celeriac.scheduler.v1.ScheduleService/CreateSchedule"


@pytest.fixture(scope="module")
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(scope="module")
def door(certificates: Path, tokens: LocalIssuer, receiver: Receiver) -> Iterator[Gateway]:
    """A gateway before servers that keep what arrives."""
    probed = sorted({method.grpc_service for method in methods_of(CONTRACTS)})
    with contextlib.ExitStack() as running:
        ports = {
            service: running.enter_context(receiving(certificates, receiver, service, probed))
            for service in SERVICES
        }
        yield running.enter_context(running_gateway(certificates, ports))


@pytest.fixture(scope="module")
def token(tokens: LocalIssuer) -> str:
    return tokens.mint("super_admin", subject="rosa", roles=["super_admin", "writer"])


def call(door: Gateway, form: RestForm, path: str, body: Any, token: str) -> Answer:
    return door.rest(form.verb, path, body, token)


def arrived(receiver: Receiver, form: RestForm) -> Any:
    return GetMessageClass(form.method.input_type).FromString(receiver.received.pop(form.rpc))


def refusal(answer: Answer) -> tuple[int, str, list[dict[str, str]]]:
    """Status, reason and the fields at fault."""
    kinds = {detail["@type"].rpartition(".")[2]: detail for detail in answer.json["details"]}
    assert answer.json["code"] == 3
    violations = kinds.get("BadRequest", {}).get("field_violations", [])
    return answer.status, kinds["ErrorInfo"]["reason"], violations


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.id)
def test_a_request_with_all_its_fields_arrives_whole_in_both_kinds_of_names(
    form: RestForm, door: Gateway, receiver: Receiver, token: str
) -> None:
    for names_kept in (True, False):
        path, body = form.written(names_kept)
        answer = call(door, form, path, body, token)
        assert answer.status == 200, answer.body
        assert arrived(receiver, form) == form.request


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.id)
def test_an_unknown_parameter_is_refused_by_name(
    form: RestForm, door: Gateway, receiver: Receiver, token: str
) -> None:
    path, body = form.written()
    answer = call(door, form, path + ("&" if "?" in path else "?") + "nonsense=1", body, token)
    status, reason, [fault] = refusal(answer)
    assert (status, reason, fault["field"]) == (400, "MALFORMED_REQUEST", "nonsense")
    assert "for example: " in fault["description"]
    assert form.rpc not in receiver.received


@pytest.mark.parametrize("form", WITH_BODY, ids=lambda form: form.id)
def test_an_unknown_field_of_a_body_is_refused_by_its_path(
    form: RestForm, door: Gateway, receiver: Receiver, token: str
) -> None:
    path, body = form.written()
    assert body is not None
    answer = call(door, form, path, {**body, "nonsense": {"a": [1]}}, token)
    status, reason, [fault] = refusal(answer)
    prefix = "" if form.body == "*" else f"{form.body}."
    assert (status, reason, fault["field"]) == (400, "MALFORMED_REQUEST", f"{prefix}nonsense")
    assert form.rpc not in receiver.received


@pytest.mark.parametrize("form", [form for form in FORMS if not form.body], ids=lambda form: form.id)
def test_a_body_where_none_is_taken_is_refused(
    form: RestForm, door: Gateway, receiver: Receiver, token: str
) -> None:
    path, _ = form.written()
    status, reason, [fault] = refusal(call(door, form, path, {"page_size": 1}, token))
    assert (status, reason) == (400, "MALFORMED_REQUEST")
    assert "parameters" in fault["description"]
    assert form.rpc not in receiver.received


def test_arguments_are_taken_as_json_with_all_their_digits(
    door: Gateway, receiver: Receiver, token: str
) -> None:
    raw = (
        b'{"schedule": {"task": {"args": [9007199254740993, 1.0, 1, 1e3, "\\u4e94\\n"],'
        b' "kwargs" : {"b": {"c": null}, "a": 123456789012345678901234567890}}}}'
    )
    assert door.request("POST", SCHEDULES, raw, token, content_type="application/json").status == 200
    [form] = [form for form in WITH_BODY if form.rpc == CREATE]
    sent = arrived(receiver, form).schedule.task
    assert sent.args_json == '[9007199254740993, 1.0, 1, 1e3, "\\u4e94\\n"]'
    assert sent.kwargs_json == '{"b": {"c": null}, "a": 123456789012345678901234567890}'


def test_what_is_rewritten_arrives_also_where_the_body_comes_after_the_headers(
    door: Gateway, receiver: Receiver, token: str
) -> None:
    """Then Envoy has the program wait, and the headers that it had before are not valid any more."""
    body = b'{"task": {"args": [1, 2]}}'
    connection = http.client.HTTPSConnection(
        "127.0.0.1", door.port, context=ssl.create_default_context(cafile=door.ca), timeout=30
    )
    with contextlib.closing(connection):
        connection.putrequest("PATCH", f"{SCHEDULES}/x?update_mask=task.args,overlap_policy")
        connection.putheader("authorization", f"Bearer {token}")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders()
        # Envoy has taken the headers by then; if not, the test is only less strict.
        time.sleep(0.3)
        connection.send(body)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
    [update] = [form for form in FORMS if form.method.name == "UpdateSchedule"]
    request = arrived(receiver, update)
    assert list(request.update_mask.paths) == ["task.args_json", "overlap_policy"]
    assert request.schedule.task.args_json == "[1, 2]"
    assert "error" not in door.log.with_suffix(".err").read_text()


def test_short_names_of_enum_values_arrive_as_the_values(
    door: Gateway, receiver: Receiver, token: str
) -> None:
    assert door.rest("POST", SCHEDULES, {"schedule": {"overlap_policy": "SKIP"}}, token).status == 200
    [create] = [form for form in FORMS if form.rpc == CREATE]
    assert arrived(receiver, create).schedule.overlap_policy == schedules_pb2.OVERLAP_POLICY_SKIP

    assert (
        door.rest("GET", "/v1/tasks?states=FAILURE&text=a%26b&states=TASK_STATE_STARTED", token=token).status
        == 200
    )
    [tasks] = [form for form in FORMS if form.method.name == "ListTasks"]
    listed = arrived(receiver, tasks)
    assert list(listed.states) == [tasks_pb2.TASK_STATE_FAILURE, tasks_pb2.TASK_STATE_STARTED]
    assert listed.text == "a&b"


def test_a_body_up_to_the_limit_is_checked_and_arrives(door: Gateway, receiver: Receiver, token: str) -> None:
    texts = ["五" * 1000] * 2700
    body = json.dumps({"texts": texts}, ensure_ascii=False).encode()
    assert len(body) > 8_000_000
    answer = door.request("POST", "/v1/embeddings", body, token, content_type="application/json")
    assert answer.status == 200, answer.body
    [embed] = [form for form in FORMS if form.method.name == "Embed"]
    assert list(arrived(receiver, embed).texts) == texts
    wrong = body[:-1] + b', "txts": 1}'
    answer = door.request("POST", "/v1/embeddings", wrong, token, content_type="application/json")
    assert [fault["field"] for fault in refusal(answer)[2]] == ["txts"]


def test_a_caller_without_a_token_is_told_nothing_of_the_body(door: Gateway) -> None:
    answer = door.rest("POST", SCHEDULES, {"schedule": {"descripton": "x"}})
    assert answer.status == 401


def test_a_large_body_is_not_read_for_a_token_that_is_not_sound(door: Gateway, token: str) -> None:
    body = b'{"descripton": "' + b"x" * 200_000 + b'"}'
    answer = door.request("POST", SCHEDULES, body, token[:-4], content_type="application/json")
    assert answer.status == 401
    assert "TOKEN_INVALID" in str(answer.json["details"])
    assert refusal(door.request("POST", SCHEDULES, body, token, content_type="application/json"))[0] == 400


# What begins as a type of gRPC and is none: Envoy's transcoder takes it for JSON.
NEARLY_GRPC = (
    "application/grpcx",
    "application/grpc;x",
    "application/grpc; charset=utf-8",
    "application/grpc-json",
    "application/grpc_",
    "application/grpc,application/json",
    "application/grpc-web+json",
    "application/grpc-web-json",
    "application/grpc-webx",
    "application/grpc-web;x",
    "application/grpc-web-text;x",
    "application/grpc-web-text+json",
    "APPLICATION/GRPC",
    "text/plain",
)
GRPC_TYPES = (
    "application/grpc",
    "application/grpc+proto",
    "application/grpc+json",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
)


@pytest.mark.parametrize("content_type", NEARLY_GRPC)
def test_a_rest_call_is_checked_whatever_its_content_type(
    content_type: str, door: Gateway, receiver: Receiver, token: str
) -> None:
    receiver.received.clear()
    body = b'{"schedule": {"descripton": "x", "paused": true, "paused": false}}'
    for verb, path, sent, field in (
        ("POST", SCHEDULES, body, "schedule.descripton"),
        ("POST", f"{SCHEDULES}:preview", body, "schedule.descripton"),
        ("GET", f"{SCHEDULES}/x", b'{"page_size": 1}', ""),
        ("GET", f"{SCHEDULES}/x?nonsense=1", None, "nonsense"),
    ):
        answer = door.request(verb, path, sent, token, content_type=content_type)
        status, reason, [fault, *_] = refusal(answer)
        assert (status, reason, fault["field"]) == (400, "MALFORMED_REQUEST", field), path
    # The gateway's other refusals are told in the form of REST, too.
    assert door.request("POST", SCHEDULES, b"{}", content_type=content_type).json["code"] == 16
    assert door.request("POST", CREATE, b"{}", token, content_type=content_type).json["code"] == 5
    assert not receiver.received


@pytest.mark.parametrize("content_type", GRPC_TYPES)
def test_a_call_by_grpc_has_no_rest_paths(
    content_type: str, door: Gateway, receiver: Receiver, token: str
) -> None:
    receiver.received.clear()
    for body in (b"\0\0\0\0\0", b'{"schedule": {"descripton": "x"}}'):
        answer = door.request("POST", SCHEDULES, body, token, content_type=content_type)
        assert answer.headers["grpc-status"] == "12", answer
    assert not receiver.received


def test_by_grpc_nothing_is_checked_twice(door: Gateway, receiver: Receiver, token: str) -> None:
    """The check is for JSON: a method's own path never meets it, whatever is sent."""
    for content_type in ("application/grpc-web+proto", "application/grpc-web+json"):
        answer = door.request(
            "POST", f"{CREATE}?nonsense=1", b"\0\0\0\0\2{}", token, content_type=content_type
        )
        assert b"MALFORMED_REQUEST" not in answer.body


def test_what_could_not_be_checked_does_not_pass(
    certificates: Path, tmp_path: Path, token: str, door: Gateway
) -> None:
    """By itself Envoy lets a request pass when the program that it runs for it fails."""
    port = free_port()
    config = write_gateway_config(
        tmp_path, certificates, port, tmp_path / "admin.sock", door.upstreams, GatewaySettings()
    )
    with (tmp_path / REST_SCRIPT).open("a") as script:
        script.write("\njudge = function() return nil + 1 end\n")
    log = tmp_path / "access.log"
    broken = Gateway(certificates, port, tmp_path / "admin.sock", log, door.upstreams)
    broken.start(config, ["scheduler"])
    try:
        answer = broken.rest("POST", SCHEDULES, {"schedule": {}}, token)
        assert (answer.status, answer.json["code"]) == (500, 13)
        assert "rest.failed" in log.with_suffix(".err").read_text()
    finally:
        broken.stop()
