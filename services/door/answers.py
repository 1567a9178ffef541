"""Errors as REST callers get them from the gateway: an HTTP status, and the JSON of a google.rpc.Status."""

from __future__ import annotations

import uuid

import structlog
from google.protobuf.json_format import MessageToDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel import errors
from services.kernel.grpc.errors import CODES, details_of, outage_of, packed
from services.kernel.logged_errors import for_log

log = structlog.get_logger(__name__)


# Reasons whose status is not that of their class.
STATUS_OF_REASON = {"LINK_SPENT": 410}
STATUSES: dict[type[errors.CeleriacError], int] = {
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.FailedPrecondition: 400,
    errors.Conflict: 409,
    errors.Invalid: 400,
    errors.Exhausted: 429,
    errors.TooLarge: 413,
    errors.Unavailable: 503,
    errors.Locked: 503,
    errors.NotReady: 503,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
}


class ErrorsTold:
    """The application, whose errors are told to the caller; a fault of ours by its incident alone.

    Before the upgrade to a WebSocket they are told as well, in place of it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        # By this Starlette raises what it would otherwise answer in plain text: an unknown verb.
        scope["app"] = self
        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            if begun:
                raise
            await answer_to(error, scope["path"], scope["request_id"])(scope, receive, send)


def answer_to(error: Exception, path: str, request_id: str) -> JSONResponse:
    """Returns the answer that tells of an error; anything but a `CeleriacError` or an outage is logged."""
    if isinstance(error, HTTPException):
        return told(errors.NotFound("page", path[:200]), request_id)
    if isinstance(error, errors.CeleriacError):
        return told(error, request_id)
    if isinstance(error, ClientDisconnect):
        # The caller hung up in the middle of its request: no fault of ours, and nobody reads this.
        return told(errors.Invalid([errors.FieldFault("body", "did not come whole", "{}")]), request_id)
    outage = outage_of(error)
    if outage is not None:
        log.warning("http.unavailable", what=outage.message, error=for_log(error))
        return told(outage, request_id)
    incident = uuid.uuid4().hex[:12]
    log.error("http.failed", incident=incident, error=for_log(error), exc_info=error)
    fault = errors.CeleriacError("INTERNAL", f"an error of ours, logged as incident {incident}")
    return told(fault, request_id)


def told(error: errors.CeleriacError, request_id: str) -> JSONResponse:
    """Returns the answer for an error of the family."""
    kind = next((each for each in type(error).__mro__ if each in CODES), None)
    # 13: INTERNAL.
    code = CODES[kind].value[0] if kind is not None else 13
    details = [
        MessageToDict(detail, preserving_proto_field_name=True)
        for detail in packed(details_of(error, request_id))
    ]
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if isinstance(error, errors.Exhausted | errors.Locked | errors.NotReady):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    body = {"code": code, "message": error.message, "details": details}
    return JSONResponse(body, STATUS_OF_REASON.get(error.reason) or STATUSES.get(type(error), 500), headers)
