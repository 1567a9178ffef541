"""The log stops where what is stored isn't what was signed, says why, and goes on when it is put right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from services.kernel.outbox import canonical
from tests.support import audit_tampering as tampering
from tests.support.audit_entries import intent
from tests.support.audit_tampering import NEWEST, Tampering, by_sql, tampered
from tests.support.audits import running_audit
from tests.support.calls import eventually, refused
from tests.support.processes import ServiceProcess
from tests.support.sql import fetch_sync

STATUS = audit_pb2.GetStatusRequest()
CHECKPOINT = audit_pb2.GetCheckpointRequest()
VERIFY = audit_pb2.VerifyRequest()
ALL_ROWS = (
    "SELECT (SELECT array_agg(l ORDER BY index) FROM celery_audit_logs l)::text"
    " || (SELECT array_agg(c ORDER BY size) FROM celery_audit_checkpoints c)::text"
)


def append(relay: Any, *entries: bytes) -> audit_pb2.AppendResponse:
    answer: audit_pb2.AppendResponse = relay.Append(audit_pb2.AppendRequest(entries=entries), timeout=20)
    return answer


def new_entry() -> bytes:
    return canonical(intent())


def grow_to_several_nodes(relay: Any) -> int:
    """Three checkpoints more at least, and a frontier of more than one node; gives the log's size."""
    size = 0
    for _ in range(3):
        size = append(relay, new_entry(), new_entry()).size
    while size.bit_count() == 1:
        size = append(relay, new_entry()).size
    return size


DIFFERENCES: dict[str, tuple[Tampering, str]] = {
    "a rewritten entry, with the frontier made to match": (tampering.forge_history, "frontier"),
    "a rewritten entry, with frontier and root made to match": (tampering.forge_history_and_root, "root"),
    "a frontier with bytes shifted between its nodes": (tampering.shift_bytes_between_nodes, "frontier"),
    "a frontier with an empty node": (
        by_sql(f"UPDATE celery_audit_checkpoints SET frontier[1] = NULL WHERE {NEWEST}"),
        "frontier",
    ),
    "a frontier without nodes": (
        by_sql(f"UPDATE celery_audit_checkpoints SET frontier = '{{}}' WHERE {NEWEST}"),
        "frontier",
    ),
    "another root": (
        by_sql(f"UPDATE celery_audit_checkpoints SET root = sha256('x') WHERE {NEWEST}"),
        "root",
    ),
    "another size": (by_sql(f"UPDATE celery_audit_checkpoints SET size = size + 1 WHERE {NEWEST}"), "size"),
    "a note signed by another key": (tampering.sign_with_another_key, "another key"),
    "a note of another origin": (
        tampering.sign_for_another_origin,
        "origin is 'elsewhere.example.com/audit'",
    ),
    "a note that is none": (
        by_sql(f"UPDATE celery_audit_checkpoints SET note = 'nonsense' WHERE {NEWEST}"),
        "malformed",
    ),
    "no newest checkpoint": (
        by_sql(f"DELETE FROM celery_audit_checkpoints WHERE {NEWEST}"),
        "not covered by the newest checkpoint",
    ),
    "no checkpoint at all": (by_sql("DELETE FROM celery_audit_checkpoints"), "there is no checkpoint"),
    "an entry beyond the newest checkpoint": (tampering.add_entry, "not covered by the newest checkpoint"),
    "no newest entry": (
        by_sql("DELETE FROM celery_audit_logs WHERE index = (SELECT max(index) FROM celery_audit_logs)"),
        "are missing",
    ),
    "no entries": (by_sql("DELETE FROM celery_audit_logs"), "are missing"),
    "an older state, as from a backup": (
        by_sql(
            f"DELETE FROM celery_audit_checkpoints WHERE {NEWEST}",
            "DELETE FROM celery_audit_logs WHERE index >= (SELECT max(size) FROM celery_audit_checkpoints)",
        ),
        "older state",
    ),
    "an empty log": (
        by_sql("DELETE FROM celery_audit_logs", "DELETE FROM celery_audit_checkpoints"),
        "older state",
    ),
    "another history of the same size, signed by the log's key": (tampering.fork, "another history"),
    "a longer history, signed by the log's key": (tampering.longer_fork, "another history"),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_nothing_is_appended_to_a_stored_state_that_was_not_signed_until_it_is_put_right(
    relay: Any, admin: Any, database_url: str, audit_key: Path, difference: str
) -> None:
    tamper, words = DIFFERENCES[difference]
    size, waiting = grow_to_several_nodes(relay), new_entry()
    with tampered(database_url, tamper, audit_key):
        before = fetch_sync(database_url, ALL_ROWS)
        code, message = refused(lambda entry: append(relay, entry), waiting)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert "the audit log is stopped" in message
        assert words in message
        assert fetch_sync(database_url, ALL_ROWS) == before
        status = admin.GetStatus(STATUS)
        assert not status.accepting
        assert words in "; ".join(status.faults)
        found = admin.Verify(VERIFY)
        assert not found.intact
        assert words in "; ".join(discrepancy.fault for discrepancy in found.discrepancies)
        code, message = refused(admin.GetCheckpoint, CHECKPOINT)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert words in message
    assert append(relay, waiting).size == size + 1
    assert admin.GetStatus(STATUS) == audit_pb2.GetStatusResponse(accepting=True)
    assert admin.Verify(VERIFY).intact


def test_entries_that_are_in_the_log_already_are_not_acknowledged_while_it_is_stopped(
    relay: Any, database_url: str, audit_key: Path
) -> None:
    """What the outbox sends twice must stay there until the log is right again."""
    grow_to_several_nodes(relay)
    sent = new_entry()
    append(relay, sent)
    with tampered(database_url, tampering.forge_history, audit_key):
        code, _ = refused(lambda entry: append(relay, entry), sent)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert append(relay, sent).appended == 0


OLDER = {
    "a note with a broken signature": (
        "UPDATE celery_audit_checkpoints SET note = (SELECT replace(note, '— ', '— x')"
        " FROM celery_audit_checkpoints WHERE size = {size}) WHERE size = {size}",
        "malformed",
    ),
    "another checkpoint's note": (
        "UPDATE celery_audit_checkpoints SET note = (SELECT note FROM celery_audit_checkpoints"
        " ORDER BY size LIMIT 1) WHERE size = {size}",
        "its note says",
    ),
    "another root": (
        "UPDATE celery_audit_checkpoints SET root = sha256('x') WHERE size = {size}",
        "its note says",
    ),
    "another frontier": (
        "UPDATE celery_audit_checkpoints SET frontier = '{{}}' WHERE size = {size}",
        "frontier",
    ),
}


@pytest.mark.parametrize("difference", OLDER)
def test_verify_names_an_older_checkpoint_that_was_changed(
    relay: Any, admin: Any, database_url: str, audit_key: Path, difference: str
) -> None:
    statement, words = OLDER[difference]
    size = grow_to_several_nodes(relay)
    append(relay, new_entry())
    with tampered(database_url, by_sql(statement.format(size=size)), audit_key):
        [discrepancy] = admin.Verify(VERIFY).discrepancies
        assert discrepancy.index == size
        assert words in discrepancy.fault
        # The tree goes on from the newest checkpoint, which is as it was signed.
        assert admin.GetStatus(STATUS).accepting
    assert admin.Verify(VERIFY).intact


def test_verify_names_the_checkpoints_between_which_an_entry_was_rewritten(
    relay: Any, admin: Any, database_url: str, audit_key: Path
) -> None:
    sizes = [append(relay, new_entry(), new_entry()).size for _ in range(4)]
    rewrite = (
        "UPDATE celery_audit_logs SET event_id = gen_random_uuid(), (body, leaf_hash) ="
        f" (SELECT body, leaf_hash FROM celery_audit_logs WHERE index = {sizes[1] - 2})"
        f" WHERE index = {sizes[1] - 1}"
    )
    with tampered(database_url, by_sql(rewrite), audit_key):
        faults = [found for found in admin.Verify(VERIFY).discrepancies if "signed" in found.fault]
    [first] = faults
    assert first.index == sizes[1]
    assert f"{sizes[0]} to {sizes[1] - 1}" in first.fault


def test_a_service_that_starts_on_a_forged_log_says_so_before_it_is_asked_and_still_answers(
    service: ServiceProcess, relay: Any, admin: Any, database_url: str, audit_key: Path
) -> None:
    size = grow_to_several_nodes(relay)
    service.stop()
    logged = len(service.log())
    with tampered(database_url, tampering.forge_history, audit_key):
        service.start()
        eventually(lambda: "audit.log_stopped" in service.log()[logged:])
        assert not admin.GetStatus(STATUS).accepting
        assert admin.ListRecords(audit_pb2.ListRecordsRequest()).records
        code, _ = refused(lambda entry: append(relay, entry), new_entry())
        assert code is grpc.StatusCode.FAILED_PRECONDITION
    eventually(lambda: "audit.log_goes_on" in service.log()[logged:])
    assert append(relay, new_entry()).size == size + 1


def test_an_older_state_that_was_restored_on_purpose_is_accepted_by_a_restart(
    service: ServiceProcess, relay: Any, admin: Any, database_url: str, audit_key: Path
) -> None:
    """A process that starts has no memory of what was signed: see docs/audit.md."""
    tamper, _ = DIFFERENCES["an older state, as from a backup"]
    grow_to_several_nodes(relay)
    with tampered(database_url, tamper, audit_key):
        assert not admin.GetStatus(STATUS).accepting
        service.stop()
        service.start()
        assert admin.GetStatus(STATUS).accepting
        append(relay, new_entry())
        assert admin.Verify(VERIFY).intact
        service.stop()
    service.start()
    assert admin.Verify(VERIFY).intact


def test_replicas_that_take_turns_go_on_from_what_the_other_signed(
    service: ServiceProcess,
    relay: Any,
    admin: Any,
    certificates: Path,
    database_url: str,
    audit_key: Path,
) -> None:
    size = append(relay, new_entry()).size
    with (
        running_audit(certificates, database_url, audit_key) as other,
        other.channel("monitor") as channel,
    ):
        replica = audit_pb2_grpc.AuditServiceStub(channel)
        for turn in range(1, 4):
            assert append(replica, *(new_entry() for _ in range(3))).size == size + 4 * turn - 1
            assert append(relay, new_entry()).size == size + 4 * turn
    assert admin.Verify(VERIFY).intact


def test_no_difference_is_seen_while_many_append_at_once(
    relay: Any, admin: Any, service: ServiceProcess
) -> None:
    logged = len(service.log())

    def append_some(_: int) -> bool:
        for _ in range(20):
            append(relay, new_entry())
        return True

    with ThreadPoolExecutor(6) as callers:
        appending = callers.map(append_some, range(4))
        looking = callers.submit(lambda: [admin.GetStatus(STATUS) for _ in range(60)])
        assert all(appending)
        assert all(status.accepting for status in looking.result())
    assert "audit.log_stopped" not in service.log()[logged:]
    assert admin.Verify(VERIFY).intact
