"""First step: gives the call its request id, and logs and measures it however it ends."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import unquote

import grpc
import structlog

from services.kernel.grpc.call import Call
from services.kernel.identity import Role
from services.kernel.metrics import CallMetrics

log = structlog.get_logger(__name__)

# Only the gateway is trusted to state another address than its own (x-forwarded-for).
GATEWAY_NAME = "gateway.celeriac.internal"
# How calls of services among themselves usually end: a watch ends by its reader's cancellation.
QUIET = frozenset({grpc.StatusCode.OK, grpc.StatusCode.CANCELLED})
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def observe(metrics: CallMetrics) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def step(call: Call) -> AsyncIterator[None]:
        stated = call.metadata("x-request-id")
        call.request_id = stated if REQUEST_ID.fullmatch(stated) else str(uuid.uuid4())
        call.address = _address(call)
        call.user_agent = call.metadata("user-agent")[:300]
        with structlog.contextvars.bound_contextvars(request_id=call.request_id, method=call.method):
            try:
                yield
            finally:
                _record(call, metrics)

    return step


def _record(call: Call, metrics: CallMetrics) -> None:
    seconds = time.monotonic() - call.started
    metrics.calls.labels(call.method, call.code.name).inc()
    metrics.seconds.labels(call.method).observe(seconds)
    say = log.debug if _usual(call) else log.info
    actor = call.identity.subject if call.identity else None
    say("rpc.answered", code=call.code.name, actor=actor, seconds=round(seconds, 4))


def _usual(call: Call) -> bool:
    """Whether the call is of no interest at INFO: health probes, and answered calls of other services.

    They come every few seconds, all day.
    """
    internal = call.identity is not None and call.identity.role is Role.SERVICE
    return call.method.startswith("/grpc.health.") or (internal and call.code in QUIET)


def _address(call: Call) -> str:
    """Returns the caller's IP address: as the gateway states it, or the connection's for a direct call."""
    if GATEWAY_NAME in call.peer_names():
        forwarded = call.metadata("x-forwarded-for").rpartition(",")[2].strip()
        if forwarded:
            return forwarded
    # "ipv4:127.0.0.1:51234", "ipv6:%5B::1%5D:51234"
    scheme, _, rest = unquote(call.context.peer()).partition(":")
    return rest.rpartition(":")[0].strip("[]") if scheme in {"ipv4", "ipv6"} else rest
