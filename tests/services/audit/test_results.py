"""What a record says of the resource that a call answered with."""

from __future__ import annotations

from typing import Any

from celeriac.audit.v1 import audit_pb2

from services.kernel.outbox import canonical
from tests.support.audit_entries import intent

RUN = "schedules/a/runs/20261129T033000.000000Z"


def test_a_record_names_what_the_call_made_beside_what_it_was_asked_of(relay: Any, admin: Any) -> None:
    events = [intent(actor="link"), intent(actor="link"), intent(actor="link")]
    done = {"kind": "outcome", "time": "2026-11-24T06:00:01.000000+00:00", "code": "OK", "message": ""}
    outcomes = [
        {"id": events[0]["id"], **done, "resource": RUN},
        {"id": events[1]["id"], **done, "resource": ""},
        # As services wrote them before there were results.
        {"id": events[2]["id"], **done},
    ]
    request = audit_pb2.AppendRequest(entries=[canonical(entry) for entry in (*events, *outcomes)])
    relay.Append(request, timeout=10)
    listed = [
        record
        for record in admin.ListRecords(audit_pb2.ListRecordsRequest()).records
        if record.actor == "link"
    ]
    assert [(record.resource, record.result) for record in reversed(listed)] == [
        ("schedules/a", RUN),
        ("schedules/a", ""),
        ("schedules/a", ""),
    ]
    assert admin.Verify(audit_pb2.VerifyRequest()).intact
