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


def test_records_are_found_by_the_resource_of_the_request_and_by_that_of_the_answer(
    relay: Any, admin: Any
) -> None:
    schedule, run, other = (
        "schedules/found",
        "schedules/found/runs/20261129T033000.000000Z",
        "schedules/other",
    )
    done = {"kind": "outcome", "time": "2026-11-24T06:00:01.000000+00:00", "code": "OK", "message": ""}
    made = {
        # A trigger, a change of the schedule, a call that names the run itself, and one of another schedule.
        "trigger": (intent(actor="t", resource=schedule), run),
        "change": (intent(actor="c", resource=schedule), ""),
        "read": (intent(actor="r", resource=run), ""),
        "other": (intent(actor="o", resource=other), ""),
    }
    outcomes = [{"id": entry["id"], **done, "resource": result} for entry, result in made.values()]
    entries = [*(entry for entry, _ in made.values()), *outcomes]
    relay.Append(audit_pb2.AppendRequest(entries=[canonical(entry) for entry in entries]), timeout=10)

    def actors(*resources: str, **more: Any) -> str:
        found = list[str]()
        request = audit_pb2.ListRecordsRequest(resources=resources, page_size=1, **more)
        while True:
            page = admin.ListRecords(request)
            found += [record.actor for record in page.records]
            request.page_token = page.next_page_token
            if not request.page_token:
                return "".join(found)

    assert actors(schedule) == "ct"
    assert actors(run) == "rt"
    # Each record once, also if both of its resources are asked for.
    assert actors(schedule, run) == "rct"
    assert actors(run, other) == "ort"
    assert actors(run, actors=["t"]) == "t"
    assert actors(run, outcomes=[audit_pb2.OUTCOME_FAILED]) == ""
