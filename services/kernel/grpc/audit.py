"""Fifth step: records every mutation, and calls refused for identity or role, in the audit outbox.

A mutation's intent is committed to the outbox before its effect, so that no effect goes unrecorded: if the
outbox can't be written, the call is refused. The outcome is written afterwards. If it is lost because the
process dies or the caller cancels, the log shows the mutation as UNKNOWN, never as success.

A streaming call that changes something is one mutation: its intent is written before its first request is
read, and its outcome when the call has been answered.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import structlog
from google.protobuf.message import Message

from services.kernel.errors import CeleriacError, PermissionDenied, Unauthenticated, Unavailable
from services.kernel.grpc.access import refusal_of
from services.kernel.grpc.call import Call
from services.kernel.grpc.errors import CODES, outage_of
from services.kernel.logged_errors import for_log
from services.kernel.outages import DATABASE_ERRORS, DISK_FULL
from services.kernel.outbox import Outbox
from services.kernel.redaction import redacted

log = structlog.get_logger(__name__)

# The most refused calls that are recorded a second, so that callers without an identity can't fill the disk.
# The others appear in the service's log only (rpc.answered).
REFUSALS_A_SECOND = 20

# Most characters of actor and resource: the audit service indexes them, and an index row is limited in size.
# The whole resource name is still in the request.
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
    except (*DATABASE_ERRORS, asyncpg.PostgresError) as error:
        # Whatever the database has against it: without its intent the call has no effect.
        log.error("audit.intent_not_written", error=for_log(error))
        if isinstance(error, DISK_FULL):
            raise
        raise Unavailable("the audit outbox, without which nothing is changed,") from error
    try:
        yield
    except CeleriacError as error:
        await _put_quietly(outbox, _outcome(intent, call, CODES[type(error)].name, error.message))
        raise
    except asyncio.CancelledError:
        # The caller cancelled the call. Whether it had its effect is not known, so no outcome is written.
        raise
    except Exception as error:
        outage = outage_of(error)
        code, message = (
            (CODES[type(outage)].name, outage.message) if outage else ("INTERNAL", "an error of the service")
        )
        await _put_quietly(outbox, _outcome(intent, call, code, message))
        raise
    await _put_quietly(outbox, _outcome(intent, call, "OK", "") | {"resource": _result(call)})


async def _put_quietly(outbox: Outbox, entry: dict[str, Any]) -> None:
    """Writes an entry, or logs that it can't: the call's result is decided, and the caller must get that."""
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


def _resource(message: Message | None) -> str:
    """Returns the resource name in a message (AIP-122): its `name` or `parent`, or its resource's `name`."""
    if message is None:
        return ""
    for field, value in message.ListFields():
        if field.name in {"name", "parent"} and isinstance(value, str):
            return value
    for _, value in message.ListFields():
        if isinstance(value, Message) and "name" in value.DESCRIPTOR.fields_by_name:
            return str(getattr(value, "name"))  # noqa: B009 # the field of a message not known here
    return ""


def _result(call: Call) -> str:
    """Returns the name of the resource in the response; empty if the request names the same one."""
    name = _resource(call.response)[:MOST_FOUND_BY]
    return "" if name == _resource(call.request)[:MOST_FOUND_BY] else name


class _Allowance:
    """A token bucket: it refills at `rate` tokens a second, and holds at most `rate`."""

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
