"""What the benchmark puts into the log: intents and their outcomes, as the services write them."""

from __future__ import annotations

import uuid
from typing import Any

from services.kernel.outbox import canonical

METHOD = "/celeriac.scheduler.v1.ScheduleService/UpdateSchedule"


def intent(number: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "kind": "intent",
        "time": f"2026-11-24T06:{number // 60 % 60:02}:{number % 60:02}.000000+00:00",
        "actor": f"operator-{number % 50}",
        "role": "admin",
        "issuer": "https://celeriac.local",
        "method": METHOD,
        "resource": f"schedules/report-{number % 1000}",
        "request": {
            "schedule": {
                "name": f"schedules/report-{number % 1000}",
                "description": "rebuilds the report that the growth team reads each morning",
                "timing": {"crontab": "30 6 * * 1-5", "time_zone": "Asia/Taipei"},
            },
            "update_mask": "description,timing",
        },
        "address": f"10.0.{number % 200}.7",
        "user_agent": "grpc-python/1.85.1 grpc-c/52.0.0 (linux; chttp2)",
        "request_id": str(uuid.uuid4()),
    }


def outcome(of: dict[str, Any]) -> dict[str, Any]:
    done = {"kind": "outcome", "time": of["time"], "code": "OK", "message": "", "duration_ms": 12.5}
    return {"id": of["id"], **done}


def entries(pairs: int) -> list[bytes]:
    """Canonical bytes, each intent with its outcome after it: 600 and 130 bytes."""
    made: list[bytes] = []
    for number in range(pairs):
        event = intent(number)
        made += (canonical(event), canonical(outcome(event)))
    return made
