"""The gateway's own errors, in the same form as the services', for each caller in its protocol.

    gRPC      grpc-status, grpc-message, and a google.rpc.Status with its ErrorInfo
    gRPC-Web  the same in the trailer frame of a body
    REST      the HTTP status, and {"code": …, "message": …, "details": […]}

Envoy by itself answers a gRPC-Web call without a message, a REST call in plain text, and some faults with the
wrong code: a token for another audience with 403, a body that is too large with UNKNOWN.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from deploy.envoy.content_types import GRPC, GRPC_WEB, GRPC_WEB_TEXT, NOT_REST
from deploy.envoy.contracts import Method
from deploy.envoy.role_refusals import role_cases
from deploy.envoy.routes import AUTHORIZATION_FORM, SAME_ORIGIN
from services.kernel.tokens import MALFORMED_AUTHORIZATION

DOMAIN = "celeriac"
TYPE = "type.googleapis.com/"
CONTENT_TYPE = "x-gateway-content-type"
# The reason for a request that the transcoder could not parse, and for a path with an escaped slash.
MALFORMED = "MALFORMED_REQUEST"
Code = grpc.StatusCode


@dataclass(frozen=True)
class Refusal:
    """One reason for which the gateway refuses a call, and the error that the caller gets."""

    # How to recognise it: Envoy's status, and a part of its response code details (empty: any).
    status: int
    details: str
    # The error. `reason` is stable, and the same as that of a service for the same fault.
    http: int
    code: Code
    reason: str
    message: str
    # For REST callers, if their code differs: they ask for a path, gRPC callers for a method.
    rest_code: Code | None = None
    # What must hold beside, in CEL; empty: nothing.
    condition: str = ""


# The first that matches is used.
REFUSALS = (
    Refusal(
        400,
        "path_normalization",
        400,
        Code.INVALID_ARGUMENT,
        MALFORMED,
        "the path is not one of a method: it has an escaped slash or a #",
    ),
    Refusal(
        401,
        "Jwt_is_missing",
        401,
        Code.UNAUTHENTICATED,
        "TOKEN_MISSING",
        "this method needs a token: send the header authorization: Bearer <token>",
    ),
    Refusal(
        401,
        "Jwt_is_expired",
        401,
        Code.UNAUTHENTICATED,
        "TOKEN_EXPIRED",
        "the token has expired; ask for a new one",
    ),
    Refusal(
        401,
        "",
        401,
        Code.UNAUTHENTICATED,
        "TOKEN_INVALID",
        "the token is not valid: it must be signed (ES256 or EdDSA) with a key of this system's issuer",
    ),
    Refusal(
        403,
        "jwt_authn",
        401,
        Code.UNAUTHENTICATED,
        "TOKEN_INVALID",
        "the token is not valid: its audience is not this system",
    ),
    Refusal(
        403,
        AUTHORIZATION_FORM,
        401,
        Code.UNAUTHENTICATED,
        "TOKEN_MALFORMED",
        MALFORMED_AUTHORIZATION,
    ),
    Refusal(
        403,
        SAME_ORIGIN,
        403,
        Code.PERMISSION_DENIED,
        "CROSS_SITE",
        "only a page of this address may do this for who is signed in; programs send a token instead",
    ),
    Refusal(
        403,
        "rbac",
        403,
        Code.PERMISSION_DENIED,
        "ROLE_TOO_LOW",
        "this method needs another role than the token has",
    ),
    Refusal(
        403,
        "upgrade_failed",
        400,
        Code.INVALID_ARGUMENT,
        MALFORMED,
        "this path takes no upgrade; the WebSocket is at /celery-admin/monitoring/ws",
    ),
    Refusal(
        403,
        "",
        403,
        Code.PERMISSION_DENIED,
        "SERVICES_ONLY",
        "this method is for Celeriac's own services, which call each other directly",
    ),
    Refusal(
        404,
        "",
        404,
        Code.UNIMPLEMENTED,
        "UNIMPLEMENTED",
        "there is no such method or path",
        rest_code=Code.NOT_FOUND,
    ),
    Refusal(
        408,
        "",
        504,
        Code.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
        "the call took longer than its method may",
    ),
    Refusal(
        413,
        "",
        413,
        Code.RESOURCE_EXHAUSTED,
        "REQUEST_TOO_LARGE",
        "the request is larger than the gateway takes; send it in parts",
    ),
    Refusal(
        431,
        "",
        431,
        Code.RESOURCE_EXHAUSTED,
        "REQUEST_TOO_LARGE",
        "the headers of the request are longer than the gateway takes",
    ),
    Refusal(
        429,
        "",
        429,
        Code.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        "too many calls in a short time; wait for the seconds that the header retry-after says",
    ),
    Refusal(
        502,
        "",
        503,
        Code.UNAVAILABLE,
        "UNAVAILABLE",
        "the service behind this method did not answer properly; try again",
    ),
    Refusal(
        503,
        "",
        503,
        Code.UNAVAILABLE,
        "UNAVAILABLE",
        "the service behind this method can't be reached now; try again",
    ),
    Refusal(
        504,
        "",
        504,
        Code.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
        "the service behind this method did not answer in time",
    ),
)


def mappers(methods: Iterable[Method]) -> list[dict[str, Any]]:
    """Returns the mappers of Envoy's local_reply_config for these methods; the first that matches is used."""
    ways = (_to_grpc, _to_grpc_web_text, _to_grpc_web, _to_rest)
    told = [tell(refusal) for refusal in _refusals(methods) for tell in ways]
    return [_told_by_script(), *told, _bad_request()]


def _told_by_script() -> dict[str, Any]:
    """For what the check of REST calls refused: it wrote the whole answer (rest/filter.lua)."""
    return {
        "filter": _all(_details_have("lua_response"), _asked_as(NOT_REST, False)),
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
    }


def _refusals(methods: Iterable[Method]) -> Iterator[Refusal]:
    cases = list(role_cases(methods))
    for refusal in REFUSALS:
        if refusal.reason == "ROLE_TOO_LOW":
            for condition, message in cases:
                yield replace(refusal, condition=condition, message=message)
        yield refusal


def _to_grpc(refusal: Refusal) -> dict[str, Any]:
    return {
        "filter": _all(_fits(refusal), _asked_as(GRPC)),
        "headers_to_add": [
            _header("grpc-status", str(refusal.code.value[0])),
            _header("grpc-status-details-bin", _status(refusal)),
        ],
        # Envoy makes this body the grpc-message.
        "body_format_override": {"text_format_source": {"inline_string": refusal.message}},
    }


def _to_grpc_web(refusal: Refusal) -> dict[str, Any]:
    # A frame of trailers (0x80, its length, the trailers): gRPC-Web callers read their status there.
    trailers = (
        f"grpc-status: {refusal.code.value[0]}\r\n"
        f"grpc-message: {refusal.message}\r\n"
        f"grpc-status-details-bin: {_status(refusal)}\r\n"
    ).encode()
    frame = b"\x80" + len(trailers).to_bytes(4, "big") + trailers
    return {
        "filter": _all(_fits(refusal), _asked_as(GRPC_WEB)),
        "status_code": 200,
        # For the access log, and for callers that look at the headers first.
        "headers_to_add": [_header("grpc-status", str(refusal.code.value[0]))],
        "body": {"inline_bytes": base64.b64encode(frame).decode()},
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/grpc-web+proto",
        },
    }


def _to_grpc_web_text(refusal: Refusal) -> dict[str, Any]:
    """Without a body: Envoy's filter never ends the body of a local reply that it must encode in base64."""
    return {
        "filter": _all(_fits(refusal), _asked_as(GRPC_WEB_TEXT)),
        "status_code": 200,
        "headers_to_add": [
            _header("grpc-status", str(refusal.code.value[0])),
            _header("grpc-message", refusal.message),
            _header("grpc-status-details-bin", _status(refusal)),
        ],
        "body": {"inline_string": ""},
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }


def _to_rest(refusal: Refusal) -> dict[str, Any]:
    code = refusal.rest_code or refusal.code
    return {
        "filter": _all(_fits(refusal), _asked_as(NOT_REST, False)),
        "status_code": refusal.http,
        "body_format_override": _rest_body(code, refusal.reason, refusal.message),
    }


def _bad_request() -> dict[str, Any]:
    """For a request that the transcoder could not parse; Envoy's own text says where."""
    return {
        "filter": _all(_status_is(400), _asked_as(NOT_REST, False)),
        "body_format_override": _rest_body(Code.INVALID_ARGUMENT, MALFORMED, "%LOCAL_REPLY_BODY%"),
    }


def _rest_body(code: Code, reason: str, message: str) -> dict[str, Any]:
    info = {"@type": f"{TYPE}google.rpc.ErrorInfo", "reason": reason, "domain": DOMAIN, "metadata": {}}
    request = {"@type": f"{TYPE}google.rpc.RequestInfo", "request_id": "%REQ(X-REQUEST-ID)%"}
    return {"json_format": {"code": code.value[0], "message": message, "details": [info, request]}}


def _status(refusal: Refusal) -> str:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN))
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message, details=[info])
    return base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("=")


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _all(*filters: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    flat = [one for part in filters for one in (part if isinstance(part, list) else [part])]
    return {"and_filter": {"filters": flat}}


def _fits(refusal: Refusal) -> list[dict[str, Any]]:
    filters = [_status_is(refusal.status)]
    if refusal.details:
        filters.append(_details_have(refusal.details))
    if refusal.condition:
        filters.append(_holds(refusal.condition))
    return filters


def _status_is(status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": "gateway.refusal_status"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _details_have(text: str) -> dict[str, Any]:
    return _holds(f'response.code_details.contains("{text}")')


def _holds(expression: str) -> dict[str, Any]:
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": f"{TYPE}envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": expression,
            },
        }
    }


def _asked_as(pattern: str, wanted: bool = True) -> dict[str, Any]:
    """Matches if the content type that the caller sent is so; if not `wanted`, matches if it is not."""
    header = {
        "name": CONTENT_TYPE,
        "string_match": {"safe_regex": {"regex": pattern}},
        "invert_match": not wanted,
        "treat_missing_header_as_empty": True,
    }
    return {"header_filter": {"header": header}}
