"""Celery's events, as its workers publish them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

CHANNEL = "/0.celeryev/task.multi"


def event_message(events: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> bytes:
    """An event, or several, in kombu's envelope, byte for byte as its Redis transport writes it."""
    properties = {
        "delivery_mode": 1,
        "delivery_info": {"exchange": "celeryev", "routing_key": "task.multi"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    envelope = {
        "body": base64.b64encode(json.dumps(events).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"hostname": "celery@host"},
        "properties": properties,
    }
    return json.dumps(envelope).encode()


class Life:
    """The events of one task, made at `start` seconds and a tenth after each other."""

    def __init__(
        self,
        start: float,
        task_id: str = "",
        name: str = "add",
        queue: str = "celery",
        hostname: str = "celery@host",
        pid: int = 7,
    ) -> None:
        self.id = task_id or str(uuid.uuid4())
        self._at = start
        self._name = name
        self._queue = queue
        self._worker = {"hostname": hostname, "pid": pid}

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._at += 0.1
        event = {"type": kind, "uuid": self.id, **self._worker, "clock": 1}
        return {**event, "utcoffset": -8, "timestamp": self._at, **fields}

    def _details(self, retries: int) -> dict[str, Any]:
        details = {"name": self._name, "args": f"({retries},)", "kwargs": "{}", "retries": retries}
        return {**details, "eta": None, "expires": None, "root_id": self.id, "parent_id": None}

    def sent(self, retries: int = 0) -> dict[str, Any]:
        return self._event(
            "task-sent", hostname="gen1@client", pid=1, queue=self._queue, **self._details(retries)
        )

    def received(self, retries: int = 0) -> dict[str, Any]:
        return self._event("task-received", **self._details(retries))

    def started(self) -> dict[str, Any]:
        return self._event("task-started")

    def succeeded(self, result: str = "3", runtime: float = 0.1) -> dict[str, Any]:
        return self._event("task-succeeded", result=result, runtime=runtime)

    def failed(self, exception: str = "ValueError('no')") -> dict[str, Any]:
        return self._event("task-failed", exception=exception, traceback=f"Traceback …\n{exception}")

    def retried(self, exception: str = "ValueError('again')") -> dict[str, Any]:
        return self._event("task-retried", exception=exception, traceback=f"Traceback …\n{exception}")

    def revoked(self) -> dict[str, Any]:
        return self._event("task-revoked", terminated=True, signum="SIGTERM", expired=False)

    def custom(self, name: str) -> dict[str, Any]:
        """As the process of the pool sends it, which has a process id of its own."""
        return self._event(f"task-{name}", pid=4711)

    def cancelled(self) -> dict[str, Any]:
        return self._event("task-cancelled")

    def rejected(self, requeue: bool = False) -> dict[str, Any]:
        return self._event("task-rejected", requeue=requeue)

    def whole(self) -> list[dict[str, Any]]:
        """Sent, received, started, succeeded."""
        return [self.sent(), self.received(), self.started(), self.succeeded()]


def heartbeat(at: float, processed: int, kind: str = "worker-heartbeat", **more: Any) -> dict[str, Any]:
    """A worker's beat at `at` seconds, with the tasks that it started until then."""
    software = {"sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux"}
    event = {"type": kind, "hostname": "celery@host", "pid": 7, "clock": 1, "timestamp": at, "freq": 2.0}
    return {**event, "active": 1, "processed": processed, "loadavg": [0.1, 0.2, 0.3], **software, **more}
