"""Entries as the services' outboxes hold them."""

from __future__ import annotations

import uuid
from typing import Any

METHOD = "/celeriac.scheduler.v1.ScheduleService/TriggerSchedule"


def intent(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "kind": "intent",
        "time": "2026-11-24T06:00:00.000000+00:00",
        "actor": "mei",
        "role": "admin",
        "issuer": "https://celeriac.local",
        "method": METHOD,
        "resource": "schedules/a",
        "request": {"name": "schedules/a"},
        "address": "10.0.0.7",
        "user_agent": "grpcurl",
        "request_id": "r-1",
        **changes,
    }
