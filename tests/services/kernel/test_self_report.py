"""What processes tell of themselves: each service its own, written when it changes, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

from services.kernel.certificates import Certificates
from services.kernel.database import Database
from services.kernel.loops import Heartbeat
from services.kernel.outbox import Outbox
from services.kernel.self_report import FORGET, OUTBOX_LOOP, RecentCount, SelfReport
from services.kernel.settings import KernelSettings
from services.monitor.measuring.certificates import CertificateFile
from services.monitor.measuring.services import ServiceMeasures
from tests.support.operations import url_of
from tests.support.sql import fetch, fetch_sync
from tests.support.statements import statements_of

DAY = 86400.0


@dataclass
class Files:
    """The certificate of the scheduler."""

    tls_ca: Path
    tls_certificate: Path
    tls_key: Path


@pytest.fixture
def own(certificates: Path) -> Certificates:
    folder = certificates / "certs"
    files = Files(certificates / "ca.pem", folder / "scheduler.crt", folder / "scheduler.key")
    return Certificates(cast("KernelSettings", files))


async def test_a_process_tells_what_is_wrong_with_it_and_the_monitor_measures_it(
    own_database_url: str, own: Certificates
) -> None:
    database, refused = Database(own_database_url, pool_size=1), 7.0
    outbox, dispatch, delivery = Outbox(database, "scheduler"), Heartbeat("dispatch"), Heartbeat(OUTBOX_LOOP)
    report = SelfReport(database, outbox, [dispatch, delivery], own, lambda: refused)
    statements = await statements_of(database)
    measures = ServiceMeasures(database)
    try:
        await report.look()
        well: Any = await measures.read()
        assert (well["loop_failing_seconds"], well["outbox_oldest_seconds"]) == ({}, {})
        assert well["sign_ins_refused"] == {"scheduler": 0}
        assert well["certificate_left_seconds"]["scheduler"] > DAY
        told = statements.count(FORGET)
        await report.look()
        assert statements.count(FORGET) == told, "nothing had changed"
        for heartbeat in (dispatch, delivery):
            heartbeat.failed()
        refused = 30.0
        await outbox.put({"id": "x", "time": "2026-11-30T12:00:00.000000+00:00"})
        await report.look()
        unwell: Any = await measures.read()
        assert sorted(unwell["loop_failing_seconds"]) == [f"scheduler/{OUTBOX_LOOP}", "scheduler/dispatch"]
        assert unwell["outbox_oldest_seconds"]["scheduler"] > 0
        assert unwell["sign_ins_refused"] == {"scheduler": 23}
        for heartbeat in (dispatch, delivery):
            heartbeat.succeeded()
        await report.look()
        again: Any = await measures.read()
        assert (again["loop_failing_seconds"], again["outbox_oldest_seconds"]) == ({}, {})
        # A process that is gone is left out after a while.
        await fetch(own_database_url, "UPDATE celeriac_self_reports SET told_at = now() - interval '13 min'")
        gone: Any = await measures.read()
        assert gone["certificate_left_seconds"] == {}
    finally:
        await database.close()


class Renewed:
    """A certificate that can be read at times only."""

    subject = "worker"

    def __init__(self) -> None:
        self.end: float | None = None

    async def expires_at(self) -> float:
        if self.end is None:
            raise FileNotFoundError("worker.crt")
        return self.end


async def test_a_certificate_that_cannot_be_read_now_expires_when_it_did_before(
    own_database_url: str,
) -> None:
    database, worker = Database(own_database_url, pool_size=1), Renewed()
    measures = ServiceMeasures(database, [cast("CertificateFile", worker)], now=lambda: 1000.0)
    left: list[Any] = []
    try:
        for end in (None, 5000.0, None, 9000.0):
            worker.end = end
            left.append((await measures.read())["certificate_left_seconds"])
    finally:
        await database.close()
    assert left == [{}, {"worker": 4000.0}, {"worker": 4000.0}, {"worker": 8000.0}]


def test_a_count_is_that_of_five_minutes_and_a_process_started_anew_begins_at_zero() -> None:
    recent = RecentCount()
    looks = ((100.0, 0.0), (130.0, 200.0), (130.0, 400.0), (130.0, 600.0), (7.0, 610.0), (9.0, 620.0))
    assert [recent.look(count, now) for count, now in looks] == [0.0, 30.0, 0.0, 0.0, 7.0, 9.0]


def test_a_service_writes_its_own_reports_and_no_others(own_database_url: str) -> None:
    insert = """
        INSERT INTO celeriac_self_reports (service, instance, measure, subject, value)
        VALUES ($1, gen_random_uuid(), 'loop', 'x', 1)
    """
    as_door = url_of("door", own_database_url)
    fetch_sync(as_door, insert, "door")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        fetch_sync(as_door, insert, "scheduler")
    fetch_sync(own_database_url, insert, "scheduler")
    fetch_sync(as_door, "DELETE FROM celeriac_self_reports")
    [left] = fetch_sync(own_database_url, "SELECT service FROM celeriac_self_reports")
    assert left["service"] == "scheduler"
