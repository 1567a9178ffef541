"""Sign-ins in the audit log: an intent before the effect, and the outcome after, as services record calls."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from starlette.requests import Request

from services.kernel.errors import CeleriacError
from services.kernel.grpc.errors import CODES
from services.kernel.logged_errors import for_log
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.outbox import Outbox

log = structlog.get_logger(__name__)

MOST_CHARACTERS = 500


@asynccontextmanager
async def recorded(
    outbox: Outbox, request: Request, subject: str, role: str, token_id: str
) -> AsyncIterator[None]:
    """Records what is done within. Without its intent nothing is done: the database's error is raised."""
    intent = {
        "id": str(uuid.uuid4()),
        "kind": "intent",
        "time": _now(),
        "service": outbox.service,
        "actor": subject[:MOST_CHARACTERS],
        "role": role,
        "issuer": "",
        "token_id": token_id,
        "method": request.url.path,
        "resource": "",
        "request": {},
        "address": address_of(request),
        "user_agent": request.headers.get("user-agent", "")[:300],
        "request_id": request.scope["request_id"],
    }
    await outbox.put(intent)
    try:
        yield
    except CeleriacError as error:
        kind = next((each for each in type(error).__mro__ if each in CODES), None)
        code = CODES[kind].name if kind is not None else "INTERNAL"
        await _outcome(outbox, intent, code, error.message)
        raise
    await _outcome(outbox, intent, "OK", "")


def address_of(request: Request) -> str:
    """Returns the caller's address, as the gateway states it."""
    return request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:100]


async def _outcome(outbox: Outbox, intent: dict[str, Any], code: str, message: str) -> None:
    """Writes the outcome, or logs that it can't: what was done stays done, and is shown as UNKNOWN."""
    entry = {"id": intent["id"], "kind": "outcome", "time": _now(), "code": code, "message": message[:2000]}
    try:
        await outbox.put(entry)
    except DATABASE_ERRORS as error:
        log.error("audit.entry_not_written", kind="outcome", id=intent["id"], error=for_log(error))


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
