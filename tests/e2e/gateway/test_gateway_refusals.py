"""What must not get in doesn't, and is told why: at the gateway, and again at the service behind it."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import jwt
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2

from deploy.standalone.tokens import AUDIENCE, ISSUER, LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.gateway import Gateway

Code = grpc.StatusCode
SERVICE = "/celeriac.scheduler.v1.ScheduleService"
DELETE = pb.DeleteScheduleRequest(name="schedules/none")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    sound = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "iat": now, "exp": now + 600}
    return {**sound, "jti": uuid.uuid4().hex, "roles": ["super_admin"], **changes}


def part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def key_of(tokens: LocalIssuer) -> dict[str, Any]:
    """The issuer's public key, as everyone can read it."""
    key: dict[str, Any] = json.loads(tokens.key_set.read_text())["keys"][0]
    return key


def unsigned(tokens: LocalIssuer) -> str:
    return f"{part({'alg': 'none', 'kid': key_of(tokens)['kid']})}.{part(claims())}."


def signed_with_the_public_key(tokens: LocalIssuer) -> str:
    """HS256 with what is no secret: a verifier that takes the algorithm from the token would believe it."""
    public = jwt.PyJWK(key_of(tokens)).key
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    # PyJWT refuses to sign with a public key; a forger doesn't.
    content = f"{part({'alg': 'HS256', 'kid': key_of(tokens)['kid']})}.{part(claims())}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(content.encode(), pem)
    return f"{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def of_another_key(tokens: LocalIssuer, key_id: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims(), key, algorithm="ES256", headers={"kid": key_id})


def altered(tokens: LocalIssuer) -> str:
    """A viewer's token whose claims were changed after it was signed."""
    header, _, signature = tokens.mint("viewer").split(".")
    return f"{header}.{part(claims())}.{signature}"


FORGED: dict[str, tuple[Callable[[LocalIssuer], str], str]] = {
    "none at all": (lambda _: "", "TOKEN_MISSING"),
    "no token": (lambda _: "let.me.in", "TOKEN_INVALID"),
    "unsigned": (unsigned, "TOKEN_INVALID"),
    "HS256 with the public key": (signed_with_the_public_key, "TOKEN_INVALID"),
    "unknown key id": (lambda tokens: of_another_key(tokens, "mine"), "TOKEN_INVALID"),
    "another key under a known id": (
        lambda tokens: of_another_key(tokens, key_of(tokens)["kid"]),
        "TOKEN_INVALID",
    ),
    "altered": (altered, "TOKEN_INVALID"),
    "expired": (lambda tokens: tokens.mint("admin", life_seconds=-60), "TOKEN_EXPIRED"),
    "without an end": (lambda tokens: tokens.mint("admin", exp=None), "TOKEN_INVALID"),
    "of another audience": (lambda tokens: tokens.mint("admin", aud="billing"), "TOKEN_INVALID"),
    "of another issuer": (lambda tokens: tokens.mint("admin", iss="https://evil.example"), "TOKEN_INVALID"),
}
TOO_LOW: dict[str, Callable[[LocalIssuer], str]] = {
    "viewer": lambda tokens: tokens.mint("viewer"),
    "service": lambda tokens: tokens.mint("service"),
    "unknown role": lambda tokens: tokens.mint("root"),
    "no roles": lambda tokens: tokens.mint("admin", roles=None),
    "roles that are no list": lambda tokens: tokens.mint("admin", roles="admin"),
}


def told(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str, str]:
    """Code, message and reason with which a gRPC call is refused."""
    with pytest.raises(grpc.RpcError) as failed:
        call()
    error: Any = failed.value
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    assert info.domain == "celeriac"
    return error.code(), error.details(), info.reason


def told_by_rest(answer: Any) -> tuple[int, int, str, str]:
    """HTTP status, code, message and reason of a REST error."""
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"code", "message", "details"}
    kinds = {detail["@type"].rpartition(".")[2]: detail for detail in answer.json["details"]}
    assert kinds["RequestInfo"]["request_id"] == answer.headers["x-request-id"]
    return answer.status, answer.json["code"], answer.json["message"], kinds["ErrorInfo"]["reason"]


def told_by_web(answer: Any) -> dict[str, str]:
    """The trailers in the only frame of a gRPC-Web answer."""
    assert (answer.status, answer.headers["content-type"]) == (200, "application/grpc-web+proto")
    kind, length = struct.unpack(">BI", answer.body[:5])
    assert (kind, len(answer.body)) == (0x80, 5 + length)
    lines = answer.body[5:].decode().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def by_every_protocol(gateway: Gateway, token: str, code: grpc.StatusCode, http: int, reason: str) -> None:
    """Tries to delete a schedule by gRPC, gRPC-Web and REST: each is told the same in its own way."""
    with gateway.channel(token) as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        found, message, why = told(lambda: stub.DeleteSchedule(DELETE, timeout=10))
    assert (found, why) == (code, reason)

    rest = told_by_rest(gateway.rest("DELETE", "/v1/schedules/none", token=token))
    assert rest == (http, code.value[0], message, reason)

    sent = struct.pack(">BI", 0, DELETE.ByteSize()) + DELETE.SerializeToString()
    web = gateway.request(
        "POST", f"{SERVICE}/DeleteSchedule", sent, token, content_type="application/grpc-web+proto"
    )
    trailers = told_by_web(web)
    assert (trailers["grpc-status"], trailers["grpc-message"]) == (str(code.value[0]), message)

    text = gateway.request(
        "POST",
        f"{SERVICE}/DeleteSchedule",
        base64.b64encode(sent),
        token,
        content_type="application/grpc-web-text",
        accept="application/grpc-web-text",
    )
    assert (text.headers["grpc-status"], text.headers["grpc-message"]) == (str(code.value[0]), message)

    by_buf = gateway.buf("grpcweb", f"{SERVICE}/DeleteSchedule", {"name": "schedules/none"}, token)
    assert by_buf["message"] == message


@pytest.mark.parametrize(("forge", "reason"), FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_sound_is_refused_here_and_there(
    forge: Callable[[LocalIssuer], str],
    reason: str,
    gateway: Gateway,
    services: Services,
    tokens: LocalIssuer,
) -> None:
    token = forge(tokens)
    by_every_protocol(gateway, token, Code.UNAUTHENTICATED, 401, reason)

    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with services.scheduler.channel() as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        code, _, why = told(lambda: stub.DeleteSchedule(DELETE, metadata=metadata, timeout=10))
    assert (code, why) == (Code.UNAUTHENTICATED, reason)


@pytest.mark.parametrize("mint", TOO_LOW.values(), ids=TOO_LOW)
def test_too_low_a_role_is_denied_here_and_there(
    mint: Callable[[LocalIssuer], str], gateway: Gateway, services: Services, tokens: LocalIssuer
) -> None:
    token = mint(tokens)
    by_every_protocol(gateway, token, Code.PERMISSION_DENIED, 403, "ROLE_TOO_LOW")
    with services.scheduler.channel() as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        code, _, _ = told(lambda: stub.DeleteSchedule(DELETE, metadata=metadata, timeout=10))
    assert code in {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


NEEDED_AND_HAD: dict[str, tuple[str, list[str] | str | None, str]] = {
    "viewer": (f"{SERVICE}/DeleteSchedule", ["viewer"], "admin; the token has viewer"),
    "writer": (f"{SERVICE}/ListSchedules", ["writer"], "viewer; the token has writer"),
    "two roles": (
        "/celeriac.access.v1.AccessService/Revoke",
        ["admin", "viewer", "writer"],
        "super_admin; the token has admin and writer",
    ),
    "a role beside the order": (
        "/celeriac.embedder.v1.MessageService/IngestMessages",
        ["viewer", "root"],
        "admin or writer; the token has viewer",
    ),
    "no role of ours": (
        f"{SERVICE}/ListSchedules",
        ["root", "'; drop"],
        "viewer; the token has none of viewer, admin, super_admin, writer",
    ),
    "no list": (
        f"{SERVICE}/ListSchedules",
        "admin",
        "viewer; the token has none of viewer, admin, super_admin, writer",
    ),
    "none": (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        None,
        "viewer or writer; the token has none of viewer, admin, super_admin, writer",
    ),
}


@pytest.mark.parametrize(("path", "roles", "said"), NEEDED_AND_HAD.values(), ids=NEEDED_AND_HAD)
def test_the_role_that_is_needed_and_those_that_the_token_has_are_told(
    path: str,
    roles: list[str] | str | None,
    said: str,
    gateway: Gateway,
    tokens: LocalIssuer,
) -> None:
    token = tokens.mint("viewer", subject="mei", roles=roles)
    expected = f"this method needs the role {said}"
    with gateway.channel(token) as channel:
        call: Any = channel.unary_unary(path)
        code, message, reason = told(lambda: call(b"", timeout=10))
    assert (code, message, reason) == (Code.PERMISSION_DENIED, expected, "ROLE_TOO_LOW")
    web = gateway.request("POST", path, b"\0\0\0\0\0", token, content_type="application/grpc-web+proto")
    assert told_by_web(web)["grpc-message"] == expected


def test_the_role_that_is_needed_is_told_over_rest(gateway: Gateway, tokens: LocalIssuer) -> None:
    answer = gateway.rest("DELETE", "/v1/schedules/none", token=tokens.mint("viewer"))
    status, code, message, reason = told_by_rest(answer)
    assert (status, code, reason) == (403, Code.PERMISSION_DENIED.value[0], "ROLE_TOO_LOW")
    assert message == "this method needs the role admin; the token has viewer"


def test_the_gateways_certificate_alone_is_nobodys(gateway: Gateway, services: Services) -> None:
    with services.scheduler.channel("gateway") as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        code, _, reason = told(lambda: stub.DeleteSchedule(DELETE, timeout=10))
    assert (code, reason) == (Code.UNAUTHENTICATED, "TOKEN_MISSING")


def test_a_method_of_services_is_closed_to_everyone_outside(
    gateway: Gateway, services: Services, tokens: LocalIssuer
) -> None:
    token = tokens.mint("super_admin")
    with gateway.channel(token) as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        code, message, reason = told(lambda: stub.Append(audit_pb2.AppendRequest(), timeout=10))
    assert (code, reason) == (Code.PERMISSION_DENIED, "SERVICES_ONLY")
    by_buf = gateway.buf("grpcweb", "/celeriac.audit.v1.AuditService/Append", {}, token)
    assert (by_buf["code"], by_buf["message"]) == ("permission_denied", message)

    with services.audit.channel() as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        code, _, reason = told(lambda: stub.Append(audit_pb2.AppendRequest(), metadata=metadata, timeout=10))
    assert (code, reason) == (Code.PERMISSION_DENIED, "SERVICES_ONLY")


@pytest.mark.parametrize("path", [f"{SERVICE}/DropEverything", "/celeriac.ghost.v1.Ghost/Boo", "/a/b/c", "/"])
def test_an_unknown_method_is_unimplemented(path: str, gateway: Gateway, admin: str) -> None:
    with gateway.channel(admin) as channel:
        call: Any = channel.unary_unary(path)
        code, message, _ = told(lambda: call(b"", timeout=10))
    assert code is Code.UNIMPLEMENTED
    web = gateway.request("POST", path, b"\0\0\0\0\0", admin, content_type="application/grpc-web+proto")
    trailers = told_by_web(web)
    assert (trailers["grpc-status"], trailers["grpc-message"]) == ("12", message)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/nonsense"),
        ("GET", "/v2/schedules"),
        ("PUT", "/v1/schedules"),
        ("POST", f"{SERVICE}/ListSchedules"),
        ("GET", "/celery-admin/nonsense"),
        ("GET", "/v1/schedules/a/b"),
        ("GET", "/v1/../admin"),
    ],
)
def test_an_unknown_path_is_not_found(verb: str, path: str, gateway: Gateway, admin: str) -> None:
    status, code, message, _ = told_by_rest(gateway.rest(verb, path, token=admin))
    assert (status, code) == (404, Code.NOT_FOUND.value[0])
    assert "no such" in message


def test_an_escaped_slash_does_not_lead_to_another_method(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("GET", "/v1/schedules%2Fa", token=admin)
    assert answer.status == 400
    assert "escaped slash" in answer.json["message"]


BAD_REQUESTS: dict[str, tuple[str, str, bytes | None, str]] = {
    "half an object": ("POST", "/v1/schedules", b'{"schedule": ', "Unexpected end"),
    "no JSON": ("POST", "/v1/schedules", b"schedule=1", "xpected"),
    "a wrong type": ("POST", "/v1/schedules", b'{"schedule": {"paused": "maybe"}}', "schedule.paused"),
    "an unknown parameter": ("GET", "/v1/schedules?pagesize=1", None, "pagesize"),
    "a wrong parameter": ("GET", "/v1/schedules?page_size=many", None, "page_size"),
}


def test_what_a_path_can_not_have_is_told(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("GET", "/v1/schedules#frag", token=admin)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert "a #" in answer.json["message"]


def test_an_upgrade_where_there_is_none_is_told(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("GET", "/v1/schedules", token=admin, upgrade="websocket", connection="upgrade")
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert answer.json["details"][0]["reason"] == "MALFORMED_REQUEST"
    assert "the WebSocket is at /celery-admin/monitoring/ws" in answer.json["message"]


@pytest.mark.parametrize(("verb", "path", "body", "word"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_what_is_no_request_is_told_where(
    verb: str, path: str, body: bytes | None, word: str, gateway: Gateway, admin: str
) -> None:
    answer = gateway.request(verb, path, body, admin, content_type="application/json")
    status, code, message, reason = told_by_rest(answer)
    assert (status, code, reason) == (400, Code.INVALID_ARGUMENT.value[0], "MALFORMED_REQUEST")
    assert word in message


def test_a_services_error_arrives_whole_over_rest(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("POST", "/v1/schedules", {"schedule": {"name": "schedules/A b"}}, admin)
    status, code, message, reason = told_by_rest(answer)
    assert (status, code, reason) == (400, Code.INVALID_ARGUMENT.value[0], "INVALID_FIELDS")
    assert "for example: " in message
    [bad] = [detail for detail in answer.json["details"] if "BadRequest" in detail["@type"]]
    fields = [violation["field"] for violation in bad["field_violations"]]
    assert {"schedule.name", "schedule.task.task_name", "schedule.timing"} <= set(fields)


@pytest.mark.parametrize("raw", [b"\x0a\xff", b"\x0a\x02\xc3\x28", b"\xff" * 10])
def test_malformed_protobuf_is_the_callers_error(raw: bytes, gateway: Gateway, admin: str) -> None:
    with gateway.channel(admin) as channel:
        call: Any = channel.unary_unary(f"{SERVICE}/CreateSchedule")
        code, _, reason = told(lambda: call(raw, timeout=10))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_FIELDS")
    web = gateway.request(
        "POST",
        f"{SERVICE}/CreateSchedule",
        struct.pack(">BI", 0, len(raw)) + raw,
        admin,
        content_type="application/grpc-web+proto",
    )
    assert web.headers["grpc-status"] == "3"


@pytest.mark.parametrize("megabytes", [9, 17])
def test_a_request_over_the_limit_is_refused_by_the_gateway(
    gateway: Gateway, admin: str, megabytes: int
) -> None:
    """The limit is that of the services, which would refuse it in grpc's own words."""
    text = "x" * (megabytes << 20)
    large = pb.CreateScheduleRequest(schedule=pb.Schedule(description=text))
    with gateway.channel(admin) as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        code, message, reason = told(lambda: stub.CreateSchedule(large, timeout=20))
    assert (code, reason) == (Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    body = json.dumps({"schedule": {"description": text}}).encode()
    answer = gateway.request("POST", "/v1/schedules", body, admin, content_type="application/json")
    assert told_by_rest(answer) == (413, code.value[0], message, reason)


def test_a_service_that_is_down_is_unavailable(gateway: Gateway, admin: str) -> None:
    with gateway.channel(admin) as channel:
        call: Any = channel.unary_unary("/celeriac.embedder.v1.MessageService/ListMessages")
        code, message, reason = told(lambda: call(b"", timeout=10))
    assert (code, reason) == (Code.UNAVAILABLE, "UNAVAILABLE")
    assert told_by_rest(gateway.rest("GET", "/v1/messages", token=admin)) == (503, 14, message, reason)
    by_buf = gateway.buf("grpcweb", "/celeriac.embedder.v1.MessageService/ListMessages", {}, admin)
    assert (by_buf["code"], by_buf["message"]) == ("unavailable", message)


def test_a_refused_post_is_told_over_http_2_too(gateway: Gateway) -> None:
    """By the curl that people have: an answer in mid-request is lost on curl 7.88."""
    command = ["curl", "--silent", "--http2", "--cacert", str(gateway.ca), "--data", "{}"]
    done = subprocess.run(
        [*command, f"{gateway.url}/v1/schedules/none:trigger"], capture_output=True, timeout=30
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["details"][0]["reason"] == "TOKEN_MISSING"


def test_a_client_that_does_not_know_the_authority_sends_nothing(gateway: Gateway) -> None:
    with grpc.secure_channel(gateway.address, grpc.ssl_channel_credentials()) as channel:
        call: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.RpcError) as failed:
            call(b"", timeout=5)
        assert failed.value.code() is Code.UNAVAILABLE
