"""The live configuration through the gateway: read and changed by REST, and shown to few."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import uuid
from typing import Any

from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually, refused
from tests.support.gateway import Gateway
from tests.support.secrets_in_logs import canary

KEY = "embedder.rebuild.chunk_characters"
LISTED = "/celery-admin/system/configuration"


def key(gateway: Gateway, admin: str, name: str = KEY) -> Any:
    return gateway.rest("GET", f"/v1/configs/{name}", token=admin).json["config"]


def test_the_configuration_is_where_it_always_was(gateway: Gateway, admin: str, tokens: LocalIssuer) -> None:
    answer = gateway.rest("GET", LISTED, token=admin)
    assert answer.status == 200
    listed = {one["name"]: one for one in answer.json["configs"]}
    assert listed["configs/monitor.tasks.retention"]["default_value"] == {"duration_value": "2592000s"}
    assert gateway.rest("GET", "/v1/configs", token=admin).json == answer.json
    assert gateway.rest("GET", LISTED, token=tokens.mint("viewer")).status == 403
    assert gateway.rest("GET", LISTED).status == 401


def test_a_key_is_set_and_rolled_back_by_rest(gateway: Gateway, admin: str) -> None:
    path = f"/v1/configs/{KEY}"
    first = gateway.rest("POST", f"{path}:set", {"value": {"int_value": "5000"}, "comment": "why"}, admin)
    assert first.status == 200
    assert first.json["config"]["value"] == {"int_value": "5000"}
    etag = first.json["config"]["etag"]
    second = gateway.rest("POST", f"{path}:set", {"value": {"int_value": 6000}, "etag": etag}, admin)
    assert second.status == 200
    late = gateway.rest("POST", f"{path}:set", {"value": {"int_value": 7000}, "etag": etag}, admin)
    assert (late.status, "etag" in late.json["message"]) == (409, True)
    revisions = gateway.rest("GET", f"{path}/revisions", token=admin).json["revisions"]
    assert [one["new_value"] for one in revisions[:2]] == [{"int_value": "6000"}, {"int_value": "5000"}]
    back = gateway.rest("POST", f"{path}:rollback", {"revision": revisions[1]["name"]}, admin)
    assert back.json["config"]["value"] == {"int_value": "5000"}
    assert gateway.rest("POST", f"{path}:reset", {}, admin).json["config"]["is_set"] is False


def test_a_wrong_value_is_told_with_field_fault_and_example(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("POST", f"/v1/configs/{KEY}:set", {"value": {"int_value": 1}}, admin)
    assert answer.status == 400
    message = answer.json["message"]
    assert "value.int_value is 1, it must be at least 1000" in message
    assert 'for example: {"int_value": 6000}' in message
    assert gateway.rest("POST", "/v1/configs/no.such:set", {"value": {}}, admin).status == 404


def test_changes_are_streamed_as_lines(gateway: Gateway, admin: str) -> None:
    context = ssl.create_default_context(cafile=gateway.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", gateway.port, context=context, timeout=30)
    connection.request(
        "GET", "/v1/configs:watch?prefixes=embedder.", headers={"authorization": f"Bearer {admin}"}
    )
    lines = connection.getresponse()
    first = json.loads(lines.readline())
    assert first["complete"]
    assert KEY in str(first)
    gateway.rest("POST", f"/v1/configs/{KEY}:set", {"value": {"int_value": 5500}}, admin)
    while not (told := json.loads(lines.readline()))["configs"]:
        pass
    connection.close()
    assert [one["value"] for one in told["configs"]] == [{"int_value": "5500"}]
    gateway.rest("POST", f"/v1/configs/{KEY}:reset", {}, admin)


def test_a_secret_is_shown_with_a_second_factor_only_and_its_reading_is_in_the_log(
    gateway: Gateway, admin: str, tokens: LocalIssuer, services: Services
) -> None:
    name, secret = f"secrets.e2e-{uuid.uuid4().hex[:8]}", canary()
    put = gateway.rest("POST", f"/v1/configs/{name}:set", {"value": {"string_value": secret}}, admin)
    assert put.status == 200
    assert secret not in str(key(gateway, admin, name))
    path = f"/v1/configs/{name}:reveal"
    without = gateway.rest("POST", path, {}, tokens.mint("super_admin", subject="lin"))
    assert without.status == 403
    assert "SECOND_FACTOR_REQUIRED" in str(without.json["details"])
    assert "make token ROLE=super_admin OTP=<code>" in without.json["message"]
    fresh = tokens.mint("super_admin", subject="lin", amr=["otp"], auth_time=int(time.time()))
    assert gateway.rest("POST", path, {}, fresh).json["value"] == secret

    def entries() -> list[Any]:
        with gateway.channel(admin) as channel:
            audit = audit_pb2_grpc.AuditServiceStub(channel)
            listed = audit.ListRecords(audit_pb2.ListRecordsRequest(resources=[f"configs/{name}"])).records
            return list(listed) if len(listed) >= 3 else []

    found = eventually(entries)
    assert secret not in str(found)
    assert {entry.method.rpartition("/")[2] for entry in found} == {"SetConfig", "RevealConfig"}


def test_what_is_for_services_is_closed_at_the_gateway(gateway: Gateway, tokens: LocalIssuer) -> None:
    with gateway.channel(tokens.mint("super_admin")) as channel:
        stub = config_pb2_grpc.ConfigServiceStub(channel)
        code, _ = refused(stub.ReadSecret, config_pb2.ReadSecretRequest(name="configs/secrets.a"))
    assert code.name == "PERMISSION_DENIED"
