"""Fifth step: keeps a record of every mutation and of every refused call.

A mutation's intent is committed to the outbox before its effect, so that nothing happens unrecorded: if the
outbox can't be written, the call is refused. Its outcome follows; where that is lost with the process, or
the caller goes away in the middle, the log shows the intent as UNKNOWN, never as success.

A stream that changes something is one mutation: its intent is written before its first request is read, and
its outcome when all of it has been answered.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from google.protobuf.message import Message

from services.kernel.database import DATABASE_ERRORS
from services.kernel.errors import CeleriacError, PermissionDenied, Unauthenticated, Unavailable
from services.kernel.grpc.access import refusal_of
from services.kernel.grpc.call import Call
from services.kernel.grpc.errors import CODES, outage_of
from services.kernel.logged_errors import for_log
from services.kernel.outbox import Outbox
from services.kernel.redaction import redacted

log = structlog.get_logger(__name__)

# Refused calls are recorded at most at this rate: whoever knocks without an identity must not be able to
# fill the disk. What goes over it is seen in the log lines of the calls.
REFUSALS_A_SECOND = 20

# Characters of a text by which entries are found: the audit service has an index on it, whose rows are
# limited. The whole of it is in the request.
MOST_FOUND_BY = 500


def record(outbox: Outbox) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    allowance = _Allowance(REFUSALS_A_SECOND)

    @asynccontextmanager
    async def step(call: Call) -> AsyncIterator[None]:
        if call.policy.audited and refusal_of(call) is None:
            async with _recorded(outbox, call):
                yield
            return
        try:
            yield
        except (Unauthenticated, PermissionDenied) as refusal:
            if allowance.take():
                await _put_quietly(outbox, _refusal(outbox.service, call, refusal))
            raise

    return step


@asynccontextmanager
async def _recorded(outbox: Outbox, call: Call) -> AsyncIterator[None]:
    intent = _entry(outbox.service, call, "intent")
    try:
        await outbox.put(intent)
    except DATABASE_ERRORS as error:
        log.error("audit.intent_not_written", error=for_log(error))
        raise Unavailable("the audit outbox, without which nothing is changed,") from error
    try:
        yield
    except CeleriacError as error:
        await _put_quietly(outbox, _outcome(intent, call, CODES[type(error)].name, error.message))
        raise
    except asyncio.CancelledError:
        # The caller went away; whether the effect took place is for the log to say: it doesn't know.
        raise
    except Exception as error:
        outage = outage_of(error)
        code, message = ("UNAVAILABLE", outage.message) if outage else ("INTERNAL", "an error of the service")
        await _put_quietly(outbox, _outcome(intent, call, code, message))
        raise
    await _put_quietly(outbox, _outcome(intent, call, "OK", ""))


async def _put_quietly(outbox: Outbox, entry: dict[str, Any]) -> None:
    """The effect has happened, or won't: the caller is told of that, not of the missing entry."""
    try:
        await asyncio.shield(outbox.put(entry))
    except Exception as error:
        log.error("audit.entry_not_written", kind=entry["kind"], id=entry["id"], error=for_log(error))


def _entry(service: str, call: Call, kind: str) -> dict[str, Any]:
    who = call.identity
    return {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        "service": service,
        "actor": who.subject[:MOST_FOUND_BY] if who else "",
        "role": who.role.label if who else "",
        "issuer": who.issuer if who else "",
        "token_id": who.token_id if who else "",
        "method": call.method,
        "resource": _resource(call.request)[:MOST_FOUND_BY],
        "request": redacted(call.request) if call.request is not None else {"stream": True},
        "address": call.address,
        "user_agent": call.user_agent,
        "request_id": call.request_id,
    }


def _outcome(intent: dict[str, Any], call: Call, code: str, message: str) -> dict[str, Any]:
    return {
        "id": intent["id"],
        "kind": "outcome",
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        "code": code,
        "message": message[:2000],
        "duration_ms": round((time.monotonic() - call.started) * 1000, 3),
    }


def _refusal(service: str, call: Call, refusal: CeleriacError) -> dict[str, Any]:
    entry = _entry(service, call, "refusal")
    return entry | _outcome(entry, call, CODES[type(refusal)].name, refusal.message) | {"kind": "refusal"}


def _resource(request: Message | None) -> str:
    """The resource that a request names (AIP-122): its own `name` or `parent`, or that of its resource."""
    if request is None:
        return ""
    for field, value in request.ListFields():
        if field.name in {"name", "parent"} and isinstance(value, str):
            return value
    for _, value in request.ListFields():
        if isinstance(value, Message) and "name" in value.DESCRIPTOR.fields_by_name:
            return str(getattr(value, "name"))  # noqa: B009 # the field of a message not known here
    return ""


class _Allowance:
    """A bucket of tokens that fills at `rate` a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate
        self._filled_at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._rate, self._left + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
