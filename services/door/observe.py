"""Gives each request its id, and logs and measures it however it ends."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel.metrics import counted

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
# Probes of the gateway come every few seconds, and files with each page: neither is of interest at INFO.
QUIET = frozenset({"ready", "file", "page"})
# Answers to those who do not prove who they are, with a link that was used, or a wrong code.
REFUSALS = (401, 403, 410)
# The routes of requests that no route answers.
NONE = "none"


class Metrics:
    """Requests by route and status, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "celeriac_door_requests", "HTTP requests answered", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "celeriac_door_request_duration_seconds",
            "From a request's headers to the end of its answer",
            ["route"],
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    @property
    def refused(self) -> float:
        """Requests of callers who did not prove who they are: without a sign-in, or with a wrong one."""
        return sum(counted(self.requests, status=str(status)) for status in REFUSALS)


class Observed:
    """The application, observed. It tells the rest of it the request's id: `scope["request_id"]`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.monotonic(), 500
        scope["request_id"] = identity = _request_id(scope)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._app(scope, receive, noting)
            finally:
                self._record(scope, status, time.monotonic() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        endpoint: Any = scope.get("endpoint")
        route = getattr(endpoint, "__name__", NONE) if endpoint is not None else NONE
        self._metrics.requests.labels(route, str(status)).inc()
        if scope["type"] == "http":
            # A socket is open for as long as its client likes.
            self._metrics.seconds.labels(route).observe(seconds)
        say = log.debug if route in QUIET and status < 500 else log.info
        # The path has no secret: a key of a link is in its fragment, which browsers don't send.
        say(
            "http.answered",
            http_method=scope.get("method", "WEBSOCKET"),
            path=scope["path"][:200],
            status=status,
            actor=scope.get("actor"),
            seconds=round(seconds, 4),
        )


def header(scope: Scope, name: bytes) -> str:
    """Returns the first value of a header (lower case); "" if it was not sent."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _request_id(scope: Scope) -> str:
    stated = header(scope, b"x-request-id")
    return stated if REQUEST_ID.fullmatch(stated) else str(uuid.uuid4())
