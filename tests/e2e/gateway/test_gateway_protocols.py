"""One schedule's life, by every way in."""

from __future__ import annotations

import struct
import uuid
from typing import Any, Protocol

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually
from tests.support.gateway import Gateway

SERVICE = "/celeriac.scheduler.v1.ScheduleService"


class Way(Protocol):
    """Calls a method of the schedule service; message and answer as JSON has them."""

    def __call__(self, method: str, message: dict[str, Any]) -> dict[str, Any]: ...


def by_stubs(gateway: Gateway, token: str) -> Way:
    def call(method: str, message: dict[str, Any]) -> dict[str, Any]:
        with gateway.channel(token) as channel:
            request = json_format.ParseDict(message, getattr(pb, f"{method}Request")())
            answer = getattr(schedules_pb2_grpc.ScheduleServiceStub(channel), method)(request, timeout=20)
            return json_format.MessageToDict(answer, preserving_proto_field_name=True)

    return call


def by_buf(protocol: str) -> Any:
    def way(gateway: Gateway, token: str) -> Way:
        def call(method: str, message: dict[str, Any]) -> dict[str, Any]:
            answer = gateway.buf(protocol, f"{SERVICE}/{method}", message, token)
            parsed = json_format.ParseDict(answer, getattr(pb, f"{method}Response")())
            return json_format.MessageToDict(parsed, preserving_proto_field_name=True)

        return call

    return way


def by_rest(gateway: Gateway, token: str) -> Way:
    def call(method: str, message: dict[str, Any]) -> dict[str, Any]:
        name = message.get("name") or message.get("parent") or message.get("schedule", {}).get("name", "")
        verb, path, body = {
            "CreateSchedule": ("POST", "/v1/schedules", message),
            "GetSchedule": ("GET", f"/v1/{name}", None),
            "ListSchedules": ("GET", f"/v1/schedules?page_size={message.get('page_size', 0)}", None),
            "UpdateSchedule": (
                "PATCH",
                f"/v1/{name}?update_mask={message.get('update_mask', '')}",
                message.get("schedule"),
            ),
            "TriggerSchedule": ("POST", f"/v1/{name}:trigger", {}),
            "GetRun": ("GET", f"/v1/{name}", None),
            "ListRuns": ("GET", f"/v1/{name}/runs", None),
            "DeleteSchedule": ("DELETE", f"/v1/{name}", None),
        }[method]
        answer = gateway.rest(verb, path, body, token)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/json"
        parsed = json_format.ParseDict(answer.json, getattr(pb, f"{method}Response")())
        return json_format.MessageToDict(parsed, preserving_proto_field_name=True)

    return call


WAYS = {"stubs": by_stubs, "buf-grpc": by_buf("grpc"), "buf-grpcweb": by_buf("grpcweb"), "rest": by_rest}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_schedule_lives_its_life(way: Any, gateway: Gateway, admin: str) -> None:
    call: Way = way(gateway, admin)
    name = f"schedules/life-{uuid.uuid4().hex[:8]}"
    schedule = {
        "name": name,
        "task": {"task_name": "報表.產生", "queue": f"queues/q-{uuid.uuid4().hex[:8]}"},
        "timing": {"crontab": {"expression": "0 0 29 2 *"}},
    }
    created = call("CreateSchedule", {"schedule": schedule})["schedule"]
    assert created["timing"]["time_zone"] == "Asia/Taipei"
    assert call("GetSchedule", {"name": name})["schedule"] == created
    assert name in {each["name"] for each in call("ListSchedules", {"page_size": 1000})["schedules"]}

    change = {"name": name, "description": "每日報表", "etag": created["etag"]}
    updated = call("UpdateSchedule", {"schedule": change, "update_mask": "description"})["schedule"]
    assert (updated["description"], updated["task"]) == ("每日報表", created["task"])

    triggered = call("TriggerSchedule", {"name": name})["run"]
    [run] = call("ListRuns", {"parent": name})["runs"]
    assert run["name"] == triggered["name"]
    assert "mei" in run["reason"]
    assert call("GetRun", {"name": run["name"]})["run"]["task"] == run["task"]

    assert call("DeleteSchedule", {"name": name}) == {}


def test_grpc_web_over_http_1_ends_in_a_trailer_frame(gateway: Gateway, admin: str) -> None:
    request = pb.ListSchedulesRequest(page_size=1).SerializeToString()
    answer = gateway.request(
        "POST",
        f"{SERVICE}/ListSchedules",
        struct.pack(">BI", 0, len(request)) + request,
        admin,
        content_type="application/grpc-web+proto",
    )
    assert answer.status == 200
    kind, length = struct.unpack(">BI", answer.body[:5])
    assert kind == 0
    pb.ListSchedulesResponse.FromString(answer.body[5 : 5 + length])
    assert answer.body[5 + length] == 0x80
    assert b"grpc-status:0" in answer.body[5 + length :].replace(b" ", b"")


def test_rest_prints_every_field_under_its_own_name(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("GET", "/v1/schedules?page_size=1", token=admin)
    assert list(answer.json) == ["schedules", "next_page_token"]


def test_runs_are_asked_for_by_several_outcomes_and_a_window_by_rest(gateway: Gateway, admin: str) -> None:
    window = "start_time=2000-01-01T00:00:00Z&end_time=2000-01-02T00:00:00%2B08:00"
    answer = gateway.rest(
        "GET", f"/v1/runs?outcomes=RUN_OUTCOME_FAILED&outcomes=RUN_OUTCOME_REVOKED&{window}", token=admin
    )
    assert (answer.status, answer.json["runs"]) == (200, [])
    refused = gateway.rest("GET", f"/v1/runs?outcomes=RUN_OUTCOME_UNSPECIFIED&{window}", token=admin)
    assert refused.status == 400
    assert "outcomes has RUN_OUTCOME_UNSPECIFIED" in refused.body.decode()


def test_a_patch_has_the_schedule_as_its_body_and_the_mask_in_its_path(gateway: Gateway, admin: str) -> None:
    name = f"schedules/patched-{uuid.uuid4().hex[:8]}"
    schedule = {
        "name": name,
        "task": {"task_name": "report", "queue": "queues/night", "args_json": "[1]"},
        "timing": {"crontab": {"expression": "0 0 29 2 *"}},
        "labels": {"team": "growth"},
        "jitter": "5s",
        "max_runs": 7,
    }
    assert gateway.rest("POST", "/v1/schedules", {"schedule": schedule}, admin).status == 200

    def patched(query: str, body: Any) -> Any:
        answer = gateway.rest("PATCH", f"/v1/{name}{query}", body, admin)
        assert answer.status == 200, answer
        return answer.json["schedule"]

    changed = patched("", {"description": "每晚", "task": {"queue": "queues/day"}})
    assert (changed["description"], changed["labels"], changed["jitter"]) == (
        "每晚",
        {"team": "growth"},
        "5s",
    )
    assert (changed["task"]["queue"], changed["task"]["args_json"]) == ("queues/day", "[1]")
    changed = patched("?update_mask=description,max_runs,task.args_json", {"max_runs": 8})
    told = changed["description"], changed["max_runs"], changed["task"]["args_json"]
    assert told == ("", "8", "[]")
    changed = patched("?update_mask=*", {"task": {"task_name": "report"}, "timing": schedule["timing"]})
    assert (changed["labels"], changed["max_runs"], changed["task"]["queue"]) == ({}, "0", "queues/celery")
    refused = gateway.rest("PATCH", f"/v1/{name}?update_mask=next_run_time", {}, admin)
    assert refused.status == 400 and "update_mask names 'next_run_time'" in refused.body.decode()


@pytest.mark.parametrize("protocol", ["grpc", "grpcweb"])
def test_a_client_without_contracts_learns_them_by_reflection(
    protocol: str, gateway: Gateway, admin: str
) -> None:
    reflect = ("--reflect", "--reflect-header", f"Authorization: Bearer {admin}")
    answer = gateway.buf(protocol, f"{SERVICE}/ListRuns", {"page_size": 1}, admin, *reflect)
    assert set(answer) <= {"runs", "nextPageToken"}


def test_reflection_wants_a_token(gateway: Gateway) -> None:
    with gateway.channel() as channel:
        path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        ask: Any = channel.stream_stream(path)
        with pytest.raises(grpc.RpcError) as failed:
            list(ask(iter([b"\x3a\x00"]), timeout=10))
        assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_reflection_v1_is_unimplemented_so_that_clients_go_on_to_v1alpha(
    gateway: Gateway, admin: str
) -> None:
    with gateway.channel(admin) as channel:
        ask: Any = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        with pytest.raises(grpc.RpcError) as failed:
            list(ask(iter([b"\x3a\x00"]), timeout=10))
        assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_health_answers_without_a_token_and_streams(gateway: Gateway) -> None:
    with gateway.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE[1:])
        serving = health_pb2.HealthCheckResponse.SERVING
        assert health.Check(request, timeout=10).status == serving
        watch = health.Watch(request, timeout=10)
        # The stream's first message comes through while the stream is open.
        assert next(watch).status == serving
        watch.cancel()


def test_the_audit_log_has_the_caller_as_the_gateway_saw_it(
    gateway: Gateway, services: Services, admin: str
) -> None:
    name = f"schedules/seen-{uuid.uuid4().hex[:8]}"
    schedule = {
        "name": name,
        "task": {"task_name": "report"},
        "timing": {"crontab": {"expression": "0 0 29 2 *"}},
    }
    answer = gateway.rest(
        "POST",
        "/v1/schedules",
        {"schedule": schedule},
        admin,
        x_forwarded_for="203.0.113.9",
        x_request_id="ticket-4711",
        user_agent="curl/8",
    )
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "ticket-4711"

    def recorded() -> Any:
        # The intent is there first, and its outcome a little later.
        path = f"/v1/auditRecords?resources={name}&outcomes=OUTCOME_OK"
        return gateway.rest("GET", path, token=admin).json["records"]

    [record] = eventually(recorded)
    assert record["actor"] == "mei"
    # Not what the caller claims.
    assert record["address"] == "127.0.0.1"
    whole = gateway.rest("GET", f"/v1/{record['name']}", token=admin).json["record"]
    assert whole["request_id"] == "ticket-4711"


def test_a_greater_role_may_what_a_lesser_may(gateway: Gateway, tokens: LocalIssuer) -> None:
    for role in ("viewer", "admin", "super_admin"):
        assert gateway.rest("GET", "/v1/schedules", token=tokens.mint(role)).status == 200
    for role, status in (("viewer", 403), ("admin", 404), ("super_admin", 404)):
        answer = gateway.rest("DELETE", "/v1/schedules/none", token=tokens.mint(role))
        assert answer.status == status, answer
