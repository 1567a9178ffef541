"""The database's disk is full: what would change something is refused, nothing is half done, reads go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.calls import refused
from tests.support.small_disk import SmallDisk, small_tablespace
from tests.support.sql import fetch_sync

OUTBOX = "audit_outbox_scheduler"


@pytest.fixture
def outbox_disk(database_url: str, schedules: Any) -> Iterator[SmallDisk]:
    """The small disk on which the scheduler's outbox is: intents are written there first of all."""
    with small_tablespace(database_url, "outbox_disk") as disk:
        fetch_sync(database_url, f"TRUNCATE {OUTBOX}")
        fetch_sync(database_url, f"ALTER TABLE {OUTBOX} SET TABLESPACE outbox_disk")
        yield disk
        fetch_sync(database_url, f"ALTER TABLE {OUTBOX} SET TABLESPACE pg_default")


def test_a_full_disk_is_told_as_such_and_reads_go_on(schedules: Any, outbox_disk: SmallDisk) -> None:
    request = pb.DeleteScheduleRequest(name="schedules/none")
    outbox_disk.fill()
    code, message = refused(schedules.DeleteSchedule, request)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the disk of the database is full" in message
    schedules.ListSchedules(pb.ListSchedulesRequest())
    outbox_disk.make_room()
    code, _ = refused(schedules.DeleteSchedule, request)
    assert code is grpc.StatusCode.NOT_FOUND
