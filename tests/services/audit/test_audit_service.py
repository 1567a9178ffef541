"""The audit service as a process: what it takes, what it lists, what it proves."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import grpc
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.kernel.outbox import canonical
from tests.support.audit_entries import METHOD, intent
from tests.support.calls import all_listed, fields_at_fault, refused
from tests.support.locks import ended_transactions, locked_table, waiting_for_a_lock
from tests.support.processes import ServiceProcess

Outcome = audit_pb2


def outcome(of: dict[str, Any], code: str = "OK") -> dict[str, Any]:
    time = "2026-11-24T06:00:01.000000+00:00"
    return {"id": of["id"], "kind": "outcome", "time": time, "code": code, "message": "", "duration_ms": 12.5}


def append(relay: Any, *entries: dict[str, Any]) -> audit_pb2.AppendResponse:
    response: audit_pb2.AppendResponse = relay.Append(
        audit_pb2.AppendRequest(entries=[canonical(entry) for entry in entries]), timeout=10
    )
    return response


def test_an_event_is_listed_with_its_actor_address_and_outcome(relay: Any, admin: Any) -> None:
    event = intent(resource="schedules/listed")
    append(relay, event, outcome(event))
    [record] = admin.ListRecords(audit_pb2.ListRecordsRequest(resources=["schedules/listed"])).records
    assert (record.actor, record.role, record.address, record.method) == ("mei", "admin", "10.0.0.7", METHOD)
    assert record.outcome == Outcome.OUTCOME_OK
    assert record.duration.ToMilliseconds() == 12
    whole = admin.GetRecord(audit_pb2.GetRecordRequest(name=record.name)).record
    assert whole.request_json == '{"name": "schedules/a"}'


def test_an_intent_without_an_outcome_is_unknown_never_success(relay: Any, admin: Any) -> None:
    append(relay, intent(resource="schedules/lost"))
    [record] = admin.ListRecords(audit_pb2.ListRecordsRequest(resources=["schedules/lost"])).records
    assert record.outcome == Outcome.OUTCOME_UNKNOWN
    assert record.code == ""


def test_an_entry_delivered_twice_is_taken_once(relay: Any) -> None:
    event = intent()
    first = append(relay, event, event)
    again = append(relay, event, outcome(event))
    assert (first.appended, again.appended) == (1, 1)
    assert again.size == first.size + 1


async def test_an_append_cut_off_while_it_is_written_leaves_nothing_and_keeps_nobody_waiting(
    relay: Any, admin: Any, database_url: str
) -> None:
    size = admin.Verify(audit_pb2.VerifyRequest()).size
    lost = [canonical(intent(request={"text": "x" * 2000})) for _ in range(1000)]
    async with locked_table(database_url, "celery_audit_logs"):
        call = relay.Append.future(audit_pb2.AppendRequest(entries=lost), timeout=60)
        pids = await waiting_for_a_lock(database_url, "^COPY ")
        call.cancel()
        await ended_transactions(database_url, pids)
    assert append(relay, intent()).size == size + 1
    assert admin.Verify(audit_pb2.VerifyRequest()).intact


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"outcomes": [Outcome.OUTCOME_OK]}, {"ok"}),
        ({"outcomes": [Outcome.OUTCOME_FAILED]}, {"failed"}),
        ({"outcomes": [Outcome.OUTCOME_REFUSED]}, {"refused"}),
        ({"outcomes": [Outcome.OUTCOME_UNKNOWN]}, {"unknown"}),
        ({"outcomes": [Outcome.OUTCOME_OK, Outcome.OUTCOME_REFUSED]}, {"ok", "refused"}),
        ({"methods": ["PauseSchedule"]}, {"failed"}),
        ({"methods": ["PauseSchedule", METHOD]}, {"ok", "failed", "refused", "unknown"}),
        ({"methods": [METHOD], "resources": ["schedules/ok"]}, {"ok"}),
        ({"resources": ["schedules/ok", "schedules/unknown", "schedules/none"]}, {"ok", "unknown"}),
        ({"addresses": ["10.9.9.9"]}, {"refused"}),
        ({"addresses": ["10.9.9.9", "10.0.0.7"], "outcomes": [Outcome.OUTCOME_REFUSED]}, {"refused"}),
        ({"start_time": {"seconds": 1}, "end_time": {"seconds": 2}}, set()),
    ],
)
def test_filters_find_what_they_say(relay: Any, admin: Any, wanted: Any, found: set[str]) -> None:
    actor = f"filter-{uuid.uuid4()}"
    ok, failed, unknown = (
        intent(actor=actor, resource="schedules/ok"),
        intent(actor=actor, resource="schedules/failed", method=METHOD.replace("Trigger", "Pause")),
        intent(actor=actor, resource="schedules/unknown"),
    )
    refusal = intent(actor=actor, resource="schedules/refused", address="10.9.9.9") | {
        "kind": "refusal",
        "code": "PERMISSION_DENIED",
        "message": "needs the role admin",
    }
    append(relay, ok, outcome(ok), failed, outcome(failed, "ABORTED"), unknown, refusal)
    records = admin.ListRecords(audit_pb2.ListRecordsRequest(actors=[actor], **wanted)).records
    assert {record.resource.removeprefix("schedules/") for record in records} == found


def test_pages_follow_each_other_without_gap_or_repeat(relay: Any, admin: Any) -> None:
    actor = f"pages-{uuid.uuid4()}"
    append(relay, *(intent(actor=actor, resource=f"schedules/{number}") for number in range(7)))
    request = audit_pb2.ListRecordsRequest(actors=[actor], page_size=3)
    seen = [record.resource for record in all_listed(admin.ListRecords, request, "records")]
    assert seen == [f"schedules/{number}" for number in reversed(range(7))]


def test_a_page_token_is_good_for_the_filter_that_it_was_given_for(relay: Any, admin: Any) -> None:
    actor = f"token-{uuid.uuid4()}"
    append(relay, *(intent(actor=actor) for _ in range(3)))
    first = admin.ListRecords(audit_pb2.ListRecordsRequest(actors=[actor], page_size=1))
    for other in ({}, {"actors": ["mei"]}, {"actors": [actor], "outcomes": [Outcome.OUTCOME_OK]}):
        request = audit_pb2.ListRecordsRequest(page_token=first.next_page_token, **other)
        assert fields_at_fault(admin.ListRecords, request) == ["page_token"]
    request = audit_pb2.ListRecordsRequest(actors=[actor], page_size=2, page_token=first.next_page_token)
    assert len(admin.ListRecords(request).records) == 2


def test_the_checkpoint_is_a_signed_note_of_size_and_root(relay: Any, admin: Any) -> None:
    size = append(relay, intent()).size
    checkpoint = admin.GetCheckpoint(audit_pb2.GetCheckpointRequest())
    assert checkpoint.size == size
    assert len(checkpoint.root) == 32
    assert checkpoint.note.startswith(f"celeriac.local/audit\n{size}\n")
    verified = admin.Verify(audit_pb2.VerifyRequest())
    assert (verified.intact, verified.size, verified.root) == (True, size, checkpoint.root)


def test_a_nul_in_a_request_is_kept_and_proven(relay: Any, admin: Any) -> None:
    event = intent(resource="schedules/a\0b", request={"name": "a\0b"})
    append(relay, event, outcome(event))
    assert admin.Verify(audit_pb2.VerifyRequest()).intact


@pytest.mark.parametrize(
    "entry",
    [b"", b"{}", b'{"id": "spaces"}', canonical(intent(kind="wish")), canonical(intent(id="7"))],
)
def test_what_is_not_canonical_is_refused_by_its_position_and_nothing_is_kept(
    relay: Any, admin: Any, entry: bytes
) -> None:
    before = admin.GetCheckpoint(audit_pb2.GetCheckpointRequest()).size
    with pytest.raises(grpc.RpcError) as failed:
        relay.Append(audit_pb2.AppendRequest(entries=[canonical(intent()), entry]))
    failure: Any = failed.value
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "entries[1]" in failure.details()
    assert "for example" in failure.details()
    assert admin.GetCheckpoint(audit_pb2.GetCheckpointRequest()).size == before


@pytest.mark.parametrize(
    ("method", "request_message", "field"),
    [
        ("GetRecord", audit_pb2.GetRecordRequest(name="auditRecords/seven"), "name"),
        ("GetRecord", audit_pb2.GetRecordRequest(name="7f9c24e8-3b12-4fef-91e0-56a2d5a5f4ab"), "name"),
        ("GetRecord", audit_pb2.GetRecordRequest(), "name"),
        ("ListRecords", audit_pb2.ListRecordsRequest(page_token="@@"), "page_token"),
        ("ListRecords", audit_pb2.ListRecordsRequest(page_size=-1), "page_size"),
        ("ListRecords", audit_pb2.ListRecordsRequest(actors=["mei", "a\0"]), "actors[1]"),
        ("ListRecords", audit_pb2.ListRecordsRequest(methods=[""]), "methods[0]"),
        ("ListRecords", audit_pb2.ListRecordsRequest(resources=["a"] * 101), "resources"),
        ("ListRecords", audit_pb2.ListRecordsRequest(outcomes=[99]), "outcomes[0]"),  # type: ignore[list-item]
        (
            "ListRecords",
            audit_pb2.ListRecordsRequest(start_time={"seconds": 2}, end_time={"seconds": 1}),
            "end_time",
        ),
        ("ListRecords", audit_pb2.ListRecordsRequest(start_time={"seconds": 10**15}), "start_time"),
    ],
)
def test_nonsense_is_answered_with_the_field_and_an_example(
    admin: Any, method: str, request_message: Any, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        getattr(admin, method)(request_message)
    failure: Any = failed.value
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.details().startswith(field)
    assert "for example" in failure.details()


def test_only_a_service_may_append(service: ServiceProcess, tokens: LocalIssuer) -> None:
    token = grpc.access_token_call_credentials(tokens.mint("super_admin"))
    with service.channel() as channel, pytest.raises(grpc.RpcError) as failed:
        audit_pb2_grpc.AuditServiceStub(channel).Append(audit_pb2.AppendRequest(), credentials=token)
    failure: Any = failed.value
    assert failure.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_workers_certificate_may_neither_append_nor_read(service: ServiceProcess) -> None:
    with service.channel("worker") as channel:
        stub: Any = audit_pb2_grpc.AuditServiceStub(channel)
        code, message = refused(stub.Append, audit_pb2.AppendRequest(entries=[canonical(intent())]))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert "service:worker" in message
        code, _ = refused(stub.ListRecords, audit_pb2.ListRecordsRequest())
        assert code is grpc.StatusCode.PERMISSION_DENIED


async def run_sql(database_url: str, *statements: str, role: str = "") -> None:
    connection = await asyncpg.connect(database_url)
    try:
        if role:
            await connection.execute(f"SET ROLE {role}")
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE celery_audit_logs SET actor = 'nobody'",
        "DELETE FROM celery_audit_logs",
        "TRUNCATE celery_audit_logs",
        "UPDATE celery_audit_checkpoints SET size = 0",
    ],
)
def test_neither_the_services_role_nor_the_owner_can_change_the_log(
    relay: Any, database_url: str, statement: str
) -> None:
    append(relay, intent())
    for role in ("celeriac_audit", ""):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(run_sql(database_url, statement, role=role))


TAMPERING = [
    ("UPDATE celery_audit_logs SET actor = 'nobody' WHERE index = 3", 3, "column actor was changed"),
    ("UPDATE celery_audit_logs SET body = body || ' ' WHERE index = 4", 4, "bytes were changed"),
    ("DELETE FROM celery_audit_logs WHERE index = 2", 2, "entries 2 to 2 are missing"),
]


@pytest.mark.parametrize(("statement", "index", "fault"), TAMPERING)
def test_tampering_by_a_database_administrator_is_named(
    relay: Any, admin: Any, database_url: str, statement: str, index: int, fault: str
) -> None:
    append(relay, *(intent() for _ in range(6)))
    asyncio.run(
        run_sql(
            database_url,
            "CREATE TABLE kept AS SELECT * FROM celery_audit_logs",
            "ALTER TABLE celery_audit_logs DISABLE TRIGGER append_only",
            statement,
        )
    )
    try:
        found = admin.Verify(audit_pb2.VerifyRequest())
    finally:
        asyncio.run(
            run_sql(
                database_url,
                "DELETE FROM celery_audit_logs",
                "INSERT INTO celery_audit_logs SELECT * FROM kept",
                "ALTER TABLE celery_audit_logs ENABLE TRIGGER append_only",
                "DROP TABLE kept",
            )
        )
    assert not found.intact
    assert found.discrepancies[0].index == index
    assert fault in found.discrepancies[0].fault
    assert admin.Verify(audit_pb2.VerifyRequest()).intact
