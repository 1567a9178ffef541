"""Each backfill is one of the operations that the monitor tells of, and is cancelled by either name."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.operations.v1 import operations_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.migrations import migrate
from tests.support.backfills import CANCELLED, DONE, Hourly
from tests.support.calls import eventually
from tests.support.monitors import Monitor
from tests.support.servers import create_database
from tests.support.sql import fetch

States = operations_pb2


@pytest.fixture
def operations(monitor: Monitor) -> Any:
    return monitor.operations


def get(operations: Any, name: str) -> operations_pb2.Operation:
    request = operations_pb2.GetOperationRequest(name=name)
    found: operations_pb2.Operation = operations.GetOperation(request).operation
    return found


def test_an_operation_follows_its_backfill_to_the_end(hourly: Hourly, operations: Any) -> None:
    assert not hourly.begin(3, validate_only=True).operation
    begun = hourly.begin(30, rate=20, request_id="once")
    assert hourly.begin(30, rate=20, request_id="once").operation == begun.operation
    found = get(operations, begun.operation)
    assert (found.owner, found.kind, found.resource) == ("scheduler", "backfill_schedule", begun.name)
    assert (found.total, found.actor, found.state) == (30, "mei", States.OPERATION_STATE_RUNNING)
    assert found.metadata["schedule"] == hourly.name and found.metadata["rate"] == 20
    assert found.metadata["start_time"] == f"{hourly.first:%Y-%m-%dT%H:%M:%S}.000000Z"
    assert hourly.ended(begun).state == DONE
    ended = get(operations, begun.operation)
    assert (ended.state, ended.done, ended.failed) == (States.OPERATION_STATE_DONE, 30, 0)
    assert ended.HasField("end_time")
    nothing = hourly.begin(30)
    assert nothing.run_count == 0
    assert get(operations, nothing.operation).state == States.OPERATION_STATE_DONE


def test_cancelling_the_operation_cancels_the_backfill(hourly: Hourly, operations: Any) -> None:
    begun = hourly.begin(100, rate=2)
    eventually(lambda: get(operations, begun.operation).done > 0)
    operations.CancelOperation(operations_pb2.CancelOperationRequest(name=begun.operation))
    request = operations_pb2.WaitOperationRequest(name=begun.operation, timeout={"seconds": 20})
    ended = operations.WaitOperation(request).operation
    assert (ended.state, ended.note) == (States.OPERATION_STATE_CANCELLED, "cancelled by mei")
    backfill = hourly.get(begun)
    assert (backfill.state, backfill.note) == (CANCELLED, "cancelled by mei")
    assert 0 < ended.done == backfill.sent_count + backfill.passed_count < 100
    eventually(lambda: len(hourly.sent()) == backfill.sent_count)


def test_an_operation_ends_with_its_backfill_whatever_ends_that(
    hourly: Hourly, operations: Any, schedules: Any
) -> None:
    def ended(begun: pb.Backfill) -> tuple[int, str]:
        found = get(operations, begun.operation)
        return found.state, found.note

    cancelled = hourly.begin(100, rate=0.5)
    schedules.CancelBackfill(pb.CancelBackfillRequest(name=cancelled.name))
    paused = hourly.begin(100, rate=0.5)
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=hourly.name))
    schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=hourly.name))
    deleted = hourly.begin(100, rate=0.5)
    assert get(operations, deleted.operation).state == States.OPERATION_STATE_RUNNING
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=hourly.name))
    assert ended(cancelled) == (States.OPERATION_STATE_CANCELLED, "cancelled by mei")
    assert ended(paused) == (States.OPERATION_STATE_CANCELLED, "the schedule was paused")
    assert ended(deleted) == (States.OPERATION_STATE_CANCELLED, "the schedule was deleted")


async def test_backfills_of_the_version_before_get_their_operations(postgres_url: str) -> None:
    url = await create_database(postgres_url)
    await migrate(url, "scheduler", "0016")
    await fetch(
        url,
        "INSERT INTO celery_schedule_backfills (id, schedule_id, start_at, end_at, newest_first, rate, actor,"
        " state, due_at, run_count, handled, created_at, ended_at) VALUES"
        " ('a', 's', now(), now(), false, 1, 'mei', 'running', '{}', 9, 4, now(), NULL),"
        " ('b', 's', now(), now(), false, 1, 'mei', 'done', '{}', 3, 3, now(), now()),"
        " ('c', 's', now(), now(), false, 1, 'mei', 'done', '{}', 3, 3, now(), now() - interval '31 days')",
    )
    await migrate(url, "scheduler")
    query = """
        SELECT b.id, o.state, o.total, o.done, o.resource FROM celery_schedule_backfills AS b
        JOIN celery_operations AS o ON o.id = b.operation_id ORDER BY 1
    """
    assert [tuple(row) for row in await fetch(url, query)] == [
        ("a", "running", 9, 4, "schedules/s/backfills/a"),
        ("b", "done", 3, 3, "schedules/s/backfills/b"),
    ]
    # A process of the version before goes on with the running one.
    await fetch(url, "UPDATE celery_schedule_backfills SET handled = 9, state = 'done' WHERE id = 'a'")
    assert tuple((await fetch(url, query))[0])[1:4] == ("done", 9, 9)
