"""OperationService, for the operations of all services; a test stands in for the owners, as their roles."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from celeriac.operations.v1 import operations_pb2 as pb
from celeriac.operations.v1 import operations_pb2_grpc
from google.protobuf.json_format import MessageToDict

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import driver_url
from services.kernel.pages import decode_page_token, encode_page_token
from tests.support.calls import Caller, all_listed, eventually, fields_at_fault, refused
from tests.support.monitors import Monitor
from tests.support.operations import advance, id_of, insert, let_it_be_lost, row_of, url_of
from tests.support.sql import fetch_sync
from tests.support.streams import StreamReader

RUNNING, DONE = pb.OPERATION_STATE_RUNNING, pb.OPERATION_STATE_DONE
CANCELLING, CANCELLED = pb.OPERATION_STATE_CANCELLING, pb.OPERATION_STATE_CANCELLED
LOST = pb.OPERATION_STATE_OWNER_LOST
UNKNOWN: Any = 99
# More than the buffer of a reader and those of a connection take, at half a megabyte each.
BUFFER, CHANGES = 10, 40
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_MONITOR_WATCH_BUFFER": str(BUFFER)}


class Reader(StreamReader[pb.WatchOperationsResponse]):
    def told(self) -> list[tuple[str, int]]:
        """Name and state of each operation that was sent."""
        return [
            (each.operation.name, each.operation.state) for each in self.seen if each.HasField("operation")
        ]

    def last_cursor(self) -> str:
        return self.seen[-1].cursor


def opened(monitor: Monitor, **request: Any) -> Any:
    stub = operations_pb2_grpc.OperationServiceStub(monitor.channel)
    credentials = grpc.access_token_call_credentials(monitor.token)
    return stub.WatchOperations(pb.WatchOperationsRequest(**request), credentials=credentials)


@contextmanager
def watching(monitor: Monitor, **request: Any) -> Iterator[Reader]:
    reader = Reader(opened(monitor, **request))
    try:
        eventually(lambda: reader.seen)
        yield reader
    finally:
        reader.end()


def get(monitor: Monitor, name: str) -> pb.Operation:
    found: pb.Operation = monitor.operations.GetOperation(pb.GetOperationRequest(name=name)).operation
    return found


def cancel(monitor: Monitor, name: str) -> pb.Operation:
    request = pb.CancelOperationRequest(name=name)
    answer: pb.Operation = monitor.operations.CancelOperation(request).operation
    return answer


def end_as_cancelled(database_url: str, name: str, owner: str = "embedder") -> None:
    statement = "SELECT celery_operation_cancel($1, 'cancelled by mei')"
    fetch_sync(url_of(owner, database_url), statement, id_of(name))


def sign_of_life(database_url: str, name: str) -> None:
    """The owner is back."""
    statement = "UPDATE celery_operations SET owner_seen_at = now(), updated_at = now() WHERE id = $1"
    fetch_sync(url_of("embedder", database_url), statement, id_of(name))


def test_an_operation_tells_all_that_its_owner_wrote(monitor: Monitor, database_url: str) -> None:
    name = insert(
        database_url,
        "scheduler",
        kind="backfill_schedule",
        actor="mei",
        resource="schedules/a/backfills/0123456789abcdef",
        metadata={"rate": 2.5, "order": "oldest first", "nothing": None, "list": [1, "two"]},
    )
    advance(database_url, name, 4, failed=1, owner="scheduler")
    found = get(monitor, name)
    assert (found.owner, found.kind, found.state) == ("scheduler", "backfill_schedule", RUNNING)
    assert (found.total, found.done, found.failed) == (10, 4, 1)
    assert (found.actor, found.resource) == ("mei", "schedules/a/backfills/0123456789abcdef")
    assert MessageToDict(found.metadata)["list"] == [1, "two"] and found.metadata["rate"] == 2.5
    assert found.rate > 0 and not found.HasField("end_time") and not found.cancel_requested_by
    assert found.update_time.ToDatetime() > found.create_time.ToDatetime()
    advance(database_url, name, 6, owner="scheduler")
    found = get(monitor, name)
    assert (found.state, found.done) == (DONE, 10)
    assert found.end_time.ToDatetime() > found.create_time.ToDatetime()


def test_lists_are_filtered_and_come_in_pages(monitor: Monitor, database_url: str) -> None:
    kind = f"kind-{uuid.uuid4().hex}"
    mine = [insert(database_url, kind=kind) for _ in range(3)]
    theirs = insert(database_url, "scheduler", kind=kind)
    advance(database_url, mine[0], 10)
    cancel(monitor, mine[1])
    let_it_be_lost(database_url, mine[2])

    def listed(**wanted: Any) -> list[str]:
        request = pb.ListOperationsRequest(**{"kinds": [kind, "none"], "page_size": 2, **wanted})
        found = all_listed(monitor.operations.ListOperations, request, "operations")
        return [operation.name for operation in found]

    assert listed() == [theirs, *reversed(mine)], "newest first"
    assert listed(owners=["scheduler"]) == [theirs]
    assert listed(owners=["scheduler", "embedder"], page_size=1) == [theirs, *reversed(mine)]
    assert listed(states=[DONE]) == [mine[0]]
    assert listed(states=[CANCELLING]) == [mine[1]]
    assert listed(states=[LOST]) == [mine[2]]
    assert listed(states=[RUNNING]) == [theirs]
    assert listed(states=[RUNNING, DONE]) == [theirs, mine[0]]
    assert listed(kinds=["none"]) == []


def test_a_cancelled_operation_is_cancelling_until_its_owner_has_ended_it(
    monitor: Monitor, database_url: str
) -> None:
    name = insert(database_url)
    answer = cancel(monitor, name)
    assert (answer.state, answer.cancel_requested_by, answer.note) == (CANCELLING, "mei", "")
    again = cancel(monitor, name)
    assert again.cancel_request_time == answer.cancel_request_time
    advance(database_url, name, 3)
    assert get(monitor, name).state == CANCELLING, "what is being done finishes"
    end_as_cancelled(database_url, name)
    ended = get(monitor, name)
    assert (ended.state, ended.note, ended.done) == (CANCELLED, "cancelled by mei", 3)
    assert cancel(monitor, name).update_time == ended.update_time, "it changes nothing any more"


def test_cancelling_what_has_ended_changes_nothing(monitor: Monitor, database_url: str) -> None:
    name = insert(database_url, total=1)
    advance(database_url, name, 1)
    before = get(monitor, name)
    answer = cancel(monitor, name)
    assert (answer.state, answer.cancel_requested_by) == (DONE, "")
    assert answer.update_time == before.update_time


def test_an_owner_that_died_is_shown_and_so_is_its_return(monitor: Monitor, database_url: str) -> None:
    name = insert(database_url)
    let_it_be_lost(database_url, name)
    assert get(monitor, name).state == LOST
    answer = cancel(monitor, name)
    assert (answer.state, answer.cancel_requested_by) == (LOST, "mei")
    sign_of_life(database_url, name)
    assert get(monitor, name).state == CANCELLING
    ended = insert(database_url, total=1)
    advance(database_url, ended, 1)
    let_it_be_lost(database_url, ended)
    assert get(monitor, ended).state == DONE, "an operation that has ended needs no owner"


def test_a_wait_ends_with_the_operation_or_with_its_timeout(monitor: Monitor, database_url: str) -> None:
    name = insert(database_url)
    request = pb.WaitOperationRequest(name=name, timeout={"nanos": 1_000_000})
    assert monitor.operations.WaitOperation(request).operation.state == RUNNING
    waiting = monitor.operations.begin("WaitOperation", pb.WaitOperationRequest(name=name))
    cancel(monitor, name)
    assert not waiting.done()
    end_as_cancelled(database_url, name)
    assert waiting.result(timeout=20).operation.state == CANCELLED


def test_a_watch_tells_each_change_of_an_operation(monitor: Monitor, database_url: str) -> None:
    kind = f"kind-{uuid.uuid4().hex}"
    with watching(monitor, kinds=[kind]) as reader, watching(monitor, owners=["scheduler"]) as other:
        assert reader.seen[0].cursor and not reader.seen[0].HasField("operation")
        name = insert(database_url, kind=kind, metadata={"min_length": 5})
        eventually(lambda: reader.told() == [(name, RUNNING)])
        assert reader.seen[-1].operation == get(monitor, name)
        insert(database_url)
        advance(database_url, name, 3)
        eventually(lambda: reader.seen[-1].operation.done == 3)
        cancel(monitor, name)
        eventually(lambda: reader.told()[-1] == (name, CANCELLING))
        end_as_cancelled(database_url, name)
        eventually(lambda: reader.told()[-1] == (name, CANCELLED))
        theirs = insert(database_url, "scheduler")
        eventually(lambda: other.told() == [(theirs, RUNNING)])
        assert {told for told, _ in reader.told()} == {name}
        assert all(message.cursor and not message.left_out_count for message in reader.seen)


def test_a_watch_tells_that_an_owner_is_lost_and_that_it_is_back(monitor: Monitor, database_url: str) -> None:
    kind = f"kind-{uuid.uuid4().hex}"
    lost_before = insert(database_url, kind=kind)
    let_it_be_lost(database_url, lost_before)
    with watching(monitor, kinds=[kind]) as reader:
        name = insert(database_url, kind=kind)
        eventually(lambda: reader.told() == [(name, RUNNING)])
        let_it_be_lost(database_url, name)
        eventually(lambda: reader.told() == [(name, RUNNING), (name, LOST)])
        cursor = reader.last_cursor()
        sign_of_life(database_url, name)
        eventually(lambda: reader.told()[2:] == [(name, RUNNING)])
    with watching(monitor, kinds=[kind], cursor=cursor) as resumed:
        eventually(lambda: len(resumed.told()) == 2)
        assert set(resumed.told()) == {(name, RUNNING), (lost_before, LOST)}


async def test_a_watch_that_resumes_misses_nothing_of_a_transaction_that_committed_late(
    monitor: Monitor, database_url: str
) -> None:
    """The change is made before the cursor and committed after it; a later one was seen by then."""
    kind = f"kind-{uuid.uuid4().hex}"
    late, early = [await asyncio.to_thread(insert, database_url, kind=kind) for _ in range(2)]
    connection = await asyncpg.connect(driver_url(database_url))
    with watching(monitor, kinds=[kind]) as reader:
        await connection.execute(f"BEGIN; SELECT celery_operation_advance('{id_of(late)}', 1, 0)")
        await asyncio.to_thread(advance, database_url, early, 2)
        eventually(lambda: reader.told() == [(early, RUNNING)])
        cursor = reader.last_cursor()
    await connection.execute("COMMIT")
    await connection.close()
    with watching(monitor, kinds=[kind], cursor=cursor) as resumed:
        eventually(lambda: resumed.told() == [(late, RUNNING)])
        assert resumed.seen[-1].operation.done == 1
        await asyncio.to_thread(advance, database_url, early, 1)
        eventually(lambda: resumed.seen[-1].operation.done == 3)


def test_a_cursor_of_another_database_is_expired_and_the_way_back_is_told(monitor: Monitor) -> None:
    with watching(monitor) as reader:
        cursor = reader.last_cursor()
    for strange in (
        encode_page_token({"origin": "7000000000000000000/00000001", "seen": "10:20:"}),
        encode_page_token({**decode_page_token(cursor), "seen": f"{2**62}:{2**62}:"}),
    ):
        code, told = refused(lambda request: next(opened(monitor, cursor=request)), strange)
        assert code is Code.FAILED_PRECONDITION
        assert "watch without a cursor, and when the first message has come, list operations" in told
    with watching(monitor, cursor=cursor) as reader:
        assert reader.seen[0].cursor == cursor


def test_a_reader_that_is_too_slow_is_told_how_many_changes_it_missed(
    monitor: Monitor, database_url: str
) -> None:
    kind = f"kind-{uuid.uuid4().hex}"
    name = insert(database_url, kind=kind, metadata={"long": "x" * 500_000}, total=CHANGES + 1)
    stream = opened(monitor, kinds=[kind])
    slow = [next(stream)]
    with watching(monitor, kinds=[kind]) as quick:
        for done in range(1, CHANGES + 1):
            advance(database_url, name, 1)
            eventually(lambda done=done: quick.seen[-1].operation.done == done)
    while not slow[-1].left_out_count:
        slow.append(next(stream))
    told = [message.operation.done for message in slow if message.HasField("operation")]
    assert told == list(range(1, len(told) + 1)), "what came was whole, up to the gap"
    assert slow[-1].left_out_count == CHANGES - len(told)
    advance(database_url, name, 1)
    assert next(stream).operation.state == DONE, "it goes on after the gap"
    stream.cancel()


def test_bad_input_is_told_by_field(monitor: Monitor) -> None:
    operations, nowhere = monitor.operations, f"operations/{uuid.uuid4()}"
    for call, request in (
        (operations.GetOperation, pb.GetOperationRequest),
        (operations.CancelOperation, pb.CancelOperationRequest),
        (operations.WaitOperation, pb.WaitOperationRequest),
    ):
        for name in ("", str(uuid.uuid4()), "operations/1; DROP TABLE", "Operations/" + str(uuid.uuid4())):
            assert fields_at_fault(call, request(name=name)) == ["name"]
        assert refused(call, request(name=nowhere))[0] is Code.NOT_FOUND
    for timeout in ({"seconds": 61}, {"nanos": 1}, {"seconds": 1, "nanos": -1_000_000}):
        wait = pb.WaitOperationRequest(name=nowhere, timeout=timeout)
        assert fields_at_fault(operations.WaitOperation, wait) == ["timeout"]
    listed = pb.ListOperationsRequest(page_token="nonsense")
    assert fields_at_fault(operations.ListOperations, listed) == ["page_token"]
    listed = pb.ListOperationsRequest(owners=["a", ""], kinds=["x" * 101], states=[DONE, UNKNOWN])
    at_fault = fields_at_fault(operations.ListOperations, listed)
    assert at_fault == ["owners[1]", "kinds[0]", "states[1]"]
    listed = pb.ListOperationsRequest(owners=["a"] * 21)
    assert fields_at_fault(operations.ListOperations, listed) == ["owners"]

    def first(request: dict[str, Any]) -> Any:
        return next(opened(monitor, **request))

    assert fields_at_fault(first, {"cursor": "nonsense"}) == ["cursor"]
    assert fields_at_fault(first, {"owners": ["\0"], "kinds": ["a"] * 21}) == ["owners[0]", "kinds"]


def test_a_viewer_looks_and_an_admin_cancels(
    monitor: Monitor, tokens: LocalIssuer, database_url: str
) -> None:
    name = insert(database_url)
    stub = operations_pb2_grpc.OperationServiceStub(monitor.channel)
    viewer = Caller(stub, tokens.mint("viewer", subject="lin"))
    assert viewer.GetOperation(pb.GetOperationRequest(name=name)).operation.name == name
    assert next(viewer.WatchOperations(pb.WatchOperationsRequest())).cursor
    code, _ = refused(viewer.CancelOperation, pb.CancelOperationRequest(name=name))
    assert code is Code.PERMISSION_DENIED
    assert row_of(database_url, name)["cancel_requested_by"] is None
