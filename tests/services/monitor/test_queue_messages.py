"""Messages that wait in queues: looked at, deleted, moved, purged and put back, through a monitor."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
import redis.asyncio
from celeriac.monitor.v1 import queues_pb2 as pb
from celeriac.monitor.v1 import queues_pb2_grpc, workers_pb2
from celery import Celery
from redis.exceptions import NoPermissionError

from deploy.standalone.tokens import LocalIssuer
from services.kernel.broker_layout import Layout
from services.monitor.messages.moving import Moves
from services.monitor.messages.purging import Purges, Wish
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.queues import BrokerQueues
from tests.support.calls import Caller, eventually, fields_at_fault, reason_of, refused
from tests.support.celery_workers import celery_app
from tests.support.foreign_servers import Foreign
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey

Code = grpc.StatusCode


@pytest.fixture
def app(broker: Valkey) -> Iterator[Celery]:
    broker.flush()
    app = celery_app(broker.host, broker.port)
    yield app
    app.close()


@pytest.fixture
def client(broker: Valkey) -> Iterator[Any]:
    with redis.Redis(broker.host, broker.port) as client:
        yield client


def bytes_of(client: Any, *queues: str) -> dict[bytes, bytes]:
    """All that the broker has of these queues and of what is unacknowledged, byte by byte."""
    keys = [key for queue in (*queues, "unacked") for key in client.scan_iter(f"*{queue}*")]
    return {key: client.dump(key) for key in keys}


def peek(monitor: Monitor, queue: str, count: int = 0) -> list[pb.QueueMessage]:
    return list(monitor.queues.PeekQueue(pb.PeekQueueRequest(name=f"queues/{queue}", count=count)).messages)


def ids(monitor: Monitor, queue: str) -> list[str]:
    return [message.task.removeprefix("tasks/") for message in peek(monitor, queue, 500)]


def purge(monitor: Monitor, queue: str, expected: int, **how: Any) -> pb.Purge:
    request = pb.PurgeQueueRequest(name=f"queues/{queue}", expected_length=expected, **how)
    found: pb.Purge = monitor.queues.PurgeQueue(request).purge
    return found


def send(app: Celery, queue: str, *priorities: int) -> list[str]:
    return [app.send_task("add", [n, 2], queue=queue, priority=p).id for n, p in enumerate(priorities)]


def failed(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as failure:
        call(request)
    error: Any = failure.value
    return error.code(), reason_of(error)


def test_a_look_into_a_queue_shows_what_workers_take_first_and_leaves_every_byte_as_it_was(
    monitor: Monitor, app: Celery, client: Any
) -> None:
    low, first, second = send(app, "peeked", 9, 0, 0)
    late = app.send_task(
        "echo", ["x"], {"password": "hunter2", "n": 1}, queue="peeked", priority=4, countdown=600, expires=900
    ).id
    before = bytes_of(client, "peeked")
    messages = peek(monitor, "peeked")
    assert bytes_of(client, "peeked") == before and len(before) >= 4
    assert [each.task for each in messages] == [f"tasks/{each}" for each in (first, second, late, low)]
    assert [each.priority for each in messages] == [0, 0, 3, 9]
    assert len({each.etag for each in messages}) == 4
    of_late = messages[2]
    assert (of_late.task_name, of_late.retries, of_late.redelivered) == ("echo", 0, False)
    assert of_late.args == "['x']" and "hunter2" not in of_late.kwargs and "[redacted]" in of_late.kwargs
    assert of_late.eta.seconds and of_late.expires.seconds - of_late.eta.seconds in (299, 300, 301)
    assert of_late.size_bytes == len(client.lindex("peeked\x06\x163", 0))
    assert [each.task for each in peek(monitor, "peeked", 1)] == [f"tasks/{first}"]


def test_a_viewer_sees_no_arguments_of_messages(monitor: Monitor, app: Celery, tokens: LocalIssuer) -> None:
    app.send_task("echo", ["private"], queue="for-viewers")
    viewer = Caller(queues_pb2_grpc.QueueServiceStub(monitor.channel), tokens.mint("viewer"))
    [message] = viewer.PeekQueue(pb.PeekQueueRequest(name="queues/for-viewers")).messages
    assert message.task_name == "echo" and message.args == "[redacted]"


def test_messages_that_are_not_celerys_or_very_large_do_no_harm(
    monitor: Monitor, app: Celery, client: Any
) -> None:
    large = app.send_task("echo", ["x" * 6_000_000], queue="odd").id
    for text in ("no json", "[]", "{}", '{"headers": 5, "properties": []}', b"\xff\xfe"):
        client.lpush("odd", text)
    messages = peek(monitor, "odd")
    assert [each.task for each in messages] == [f"tasks/{large}", "", "", "", "", ""]
    assert messages[0].size_bytes > 6_000_000 and len(messages[0].args) <= 2000
    client.sadd("_kombu.binding.odd2", "odd2\x06\x16\x06\x16odd2")
    request = pb.MoveMessagesRequest(name="queues/odd", destination_queue="queues/odd2")
    moved = monitor.queues.MoveMessages(request)
    assert moved.moved_count == 1 and moved.complete and client.llen("odd") == 5


def test_one_message_is_deleted_and_the_others_stay_as_they_are(
    monitor: Monitor, app: Celery, client: Any
) -> None:
    one, two, three = send(app, "thinned", 0, 0, 0)
    request = pb.DeleteQueueMessageRequest(name="queues/thinned", task=f"tasks/{two}", validate_only=True)
    before = bytes_of(client, "thinned")
    assert monitor.queues.DeleteQueueMessage(request).deleted.task == f"tasks/{two}"
    assert bytes_of(client, "thinned") == before
    request.validate_only = False
    assert monitor.queues.DeleteQueueMessage(request).deleted.task_name == "add"
    assert ids(monitor, "thinned") == [one, three]
    assert failed(monitor.queues.DeleteQueueMessage, request) == (Code.NOT_FOUND, "MESSAGE_NOT_FOUND")


def test_of_two_messages_of_one_task_the_etag_says_which_is_deleted(
    monitor: Monitor, app: Celery, client: Any
) -> None:
    for _ in range(2):
        app.send_task("add", [1, 2], queue="doubled", task_id="twice")
    request = pb.DeleteQueueMessageRequest(name="queues/doubled", task="tasks/twice")
    assert fields_at_fault(monitor.queues.DeleteQueueMessage, request) == ["etag"]
    first, second = peek(monitor, "doubled")
    request.etag = second.etag
    assert monitor.queues.DeleteQueueMessage(request).deleted.etag == second.etag
    assert [each.etag for each in peek(monitor, "doubled")] == [first.etag]


def test_messages_move_in_their_order_and_with_their_priorities_and_name_the_new_queue(
    monitor: Monitor, app: Celery, client: Any
) -> None:
    [there] = send(app, "to", 3)
    low, one, two, three = send(app, "from", 9, 3, 3, 3)
    other = app.send_task("echo", ["x"], queue="from", priority=3).id
    request = pb.MoveMessagesRequest(
        name="queues/from", destination_queue="queues/to", task_names=["add"], validate_only=True
    )
    before = bytes_of(client, "from", "to")
    answer = monitor.queues.MoveMessages(request)
    assert (answer.moved_count, answer.complete) == (4, True)
    assert bytes_of(client, "from", "to") == before
    request.validate_only, request.count = False, 2
    answer = monitor.queues.MoveMessages(request)
    assert (answer.moved_count, answer.complete) == (2, False)
    assert ids(monitor, "to") == [there, one, two] and ids(monitor, "from") == [three, other, low]
    request.count = 0
    assert monitor.queues.MoveMessages(request).moved_count == 2
    assert ids(monitor, "to") == [there, one, two, three, low] and ids(monitor, "from") == [other]
    for raw in client.lrange("to\x06\x163", 0, -1):
        delivery = json.loads(raw)["properties"]["delivery_info"]
        assert (delivery["exchange"], delivery["routing_key"]) == ("", "to")


def test_a_queue_that_the_broker_does_not_know_is_no_destination(monitor: Monitor, app: Celery) -> None:
    send(app, "from", 0)
    request = pb.MoveMessagesRequest(name="queues/from", destination_queue="queues/nowhere")
    assert failed(monitor.queues.MoveMessages, request) == (Code.NOT_FOUND, "QUEUE_NOT_FOUND")
    request.destination_queue = "queues/from"
    assert fields_at_fault(monitor.queues.MoveMessages, request) == ["destination_queue"]


def test_a_purge_takes_all_and_its_undo_puts_every_byte_back_before_what_came_since(
    monitor: Monitor, app: Celery, client: Any
) -> None:
    old = send(app, "purged", 0, 0, 3, 9)
    before = bytes_of(client, "purged")
    seen = purge(monitor, "purged", 4, validate_only=True)
    assert (seen.name, seen.purged_count) == ("", 4) and bytes_of(client, "purged") == before
    made = purge(monitor, "purged", 4)
    assert (made.queue, made.purged_count, made.subject) == ("queues/purged", 4, "mei")
    assert [(each.priority, each.length) for each in made.by_priority] == [(0, 2), (3, 1), (9, 1)]
    assert made.expire_time.seconds - made.purge_time.seconds == 600 and made.size_bytes > 1000
    assert ids(monitor, "purged") == []
    assert list(monitor.queues.ListPurges(pb.ListPurgesRequest()).purges) == [made]

    undoing = pb.UndoPurgeRequest(name=made.name, validate_only=True)
    assert monitor.queues.UndoPurge(undoing).restored_count == 4 and ids(monitor, "purged") == []
    undoing.validate_only = False
    assert monitor.queues.UndoPurge(undoing).restored_count == 4
    assert bytes_of(client, "purged") == before
    assert all(client.ttl(key) == -1 for key in before), "what was put back must not expire"
    assert failed(monitor.queues.UndoPurge, undoing) == (Code.NOT_FOUND, "PURGE_NOT_FOUND")
    with pytest.raises(grpc.RpcError, match="it was undone already, or its ten minutes are over"):
        monitor.queues.UndoPurge(undoing)

    again = purge(monitor, "purged", 4)
    new = send(app, "purged", 0, 3)
    monitor.queues.UndoPurge(pb.UndoPurgeRequest(name=again.name))
    assert ids(monitor, "purged") == [*old[:2], new[0], old[2], new[1], old[3]]


def test_more_messages_than_were_seen_are_not_purged_unless_the_caller_says_so(
    monitor: Monitor, app: Celery
) -> None:
    send(app, "grown", 0, 0, 0)
    request = pb.PurgeQueueRequest(name="queues/grown", expected_length=2)
    code, message = refused(monitor.queues.PurgeQueue, request)
    assert code is Code.FAILED_PRECONDITION and "3 messages wait" in message
    assert failed(monitor.queues.PurgeQueue, request)[1] == "QUEUE_LENGTH_CHANGED"
    assert len(ids(monitor, "grown")) == 3
    assert purge(monitor, "grown", 2, allow_newer=True).purged_count == 3


def test_only_the_first_messages_are_purged_if_a_count_says_so(monitor: Monitor, app: Celery) -> None:
    low, one, two = send(app, "counted", 9, 0, 0)
    made = purge(monitor, "counted", 3, count=1)
    assert made.purged_count == 1 and ids(monitor, "counted") == [two, low]
    monitor.queues.UndoPurge(pb.UndoPurgeRequest(name=made.name))
    assert ids(monitor, "counted") == [one, two, low]


def test_a_purge_that_is_sent_twice_with_one_request_id_purges_once(monitor: Monitor, app: Celery) -> None:
    send(app, "once", 0)
    made = purge(monitor, "once", 1, request_id="my-purge")
    [newer] = send(app, "once", 0)
    assert purge(monitor, "once", 1, request_id="my-purge") == made
    assert ids(monitor, "once") == [newer]
    other = pb.PurgeQueueRequest(
        name="queues/once", expected_length=5, count=1, request_id="my-purge", allow_newer=True
    )
    assert fields_at_fault(monitor.queues.PurgeQueue, other) == ["request_id"]


def test_a_purge_without_undo_keeps_nothing(monitor: Monitor, app: Celery, client: Any) -> None:
    send(app, "dropped", 0, 9)
    made = purge(monitor, "dropped", 2, without_undo=True)
    assert made.purged_count == 2 and not made.HasField("expire_time")
    assert failed(monitor.queues.UndoPurge, pb.UndoPurgeRequest(name=made.name)) == (
        Code.NOT_FOUND,
        "PURGE_NOT_FOUND",
    )
    assert not [key for key in client.scan_iter() if client.type(key) == b"list"]


@pytest.mark.parametrize("method", ["PeekQueue", "GetQueue"])
def test_a_queue_that_is_not_there_is_not_found(monitor: Monitor, app: Celery, method: str) -> None:
    call = getattr(monitor.queues, method)
    request = getattr(pb, f"{method}Request")(name="queues/nowhere")
    assert failed(call, request) == (Code.NOT_FOUND, "QUEUE_NOT_FOUND")
    request.name = "nowhere"
    assert fields_at_fault(call, request) == ["name"]


def test_all_faults_of_a_purge_are_told_at_once(monitor: Monitor) -> None:
    request = pb.PurgeQueueRequest(name="grown", count=-1)
    assert fields_at_fault(monitor.queues.PurgeQueue, request) == ["name", "expected_length", "count"]


async def test_an_undo_that_was_cut_off_is_finished_by_the_next_and_loses_nothing(
    app: Celery, broker: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the monitor is killed between two steps: the rest does not expire meanwhile."""
    old = send(app, "cut", *[0] * 5)
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        layout = Layout()
        purges, messages = Purges(client, layout, kept_seconds=1), WaitingMessages(client, layout)
        made = await purges.purge(Wish("cut", 5), "mei")
        [new] = send(app, "cut", 0)
        keys = [f"celeriac:purged:{made.id}:{step}" for step in layout.steps]
        script: Any = purges._put_back
        done, left = await script(
            ["celeriac:purges", f"celeriac:purged:{made.id}", *keys, *layout.keys_of("cut")], [2, made.id]
        )
        assert (done, left) == (2, 3)
        assert [await client.ttl(key) for key in (keys[0], f"celeriac:purged:{made.id}")] == [-1, -1]
        [listed] = await purges.all()
        assert listed.id == made.id and listed.expires_at is None
        assert await purges.undo(listed) == 3
        assert [each.task_id for each in await messages.first("cut", 10)] == [*old, new]


async def test_a_purge_is_gone_when_its_time_is_over(app: Celery, broker: Valkey) -> None:
    send(app, "late", 0)
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        purges = Purges(client, Layout(), kept_seconds=1)
        await purges.purge(Wish("late", 1), "mei")
        with redis.Redis(broker.host, broker.port) as other:
            eventually(lambda: not [key for key in other.scan_iter() if b"purged" in key])
        assert await purges.all() == []


async def test_the_broker_user_of_the_documents_may_do_all_this(app: Celery, broker: Valkey) -> None:
    url = Foreign("", broker).make_broker_user()
    send(app, "a", 0, 0, 9)
    send(app, "b", 0)
    layout = Layout()
    async with redis.asyncio.Redis.from_url(url) as client:
        with pytest.raises(NoPermissionError):
            await client.flushall()
        queues, messages, purges = (
            BrokerQueues(client, layout),
            WaitingMessages(client, layout),
            Purges(client, layout),
        )
        await queues.read()
        first = (await messages.first("a", 10))[0]
        assert (await messages.next_tasks(["a"]))[0]
        await messages.delete("a", first.task_id, first.etag)
        moved = await Moves(client, layout, messages).move("a", "b", 10, lambda task_id, name: True)
        assert moved.count == 2
        await purges.undo(await purges.purge(Wish("b", 3, most=1), "mei"))
        await purges.undo(await purges.purge(Wish("b", 3), "mei"))
        await purges.purge(Wish("b", 3, keep=False), "mei")
        assert await purges.all() == []


def test_a_monitor_that_is_killed_while_it_moves_messages_loses_and_doubles_none(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey, app: Celery, client: Any
) -> None:
    [one] = send(app, "much", 0)
    pattern = client.rpop("much").decode()
    sent = [f"task-{number}" for number in range(8000)]
    client.lpush("much", *(pattern.replace(one, task_id) for task_id in sent))
    client.sadd("_kombu.binding.elsewhere", "elsewhere\x06\x16\x06\x16elsewhere")
    request = pb.MoveMessagesRequest(name="queues/much", destination_queue="queues/elsewhere")
    with running_monitor(certificates, tokens, database_url, broker) as monitor:
        moving = monitor.queues.begin("MoveMessages", request)
        ended = threading.Event()
        moving.add_done_callback(lambda call: ended.set())
        eventually(lambda: client.llen("elsewhere") > 0)
        assert monitor.process.process is not None
        monitor.process.process.kill()
        assert ended.wait(30)
    left, moved = client.lrange("much", 0, -1), client.lrange("elsewhere", 0, -1)
    assert 0 < len(moved) < 8000, "it was killed in the middle"
    assert Counter(json.loads(raw)["headers"]["id"] for raw in left + moved) == Counter(sent)


def test_a_broker_that_hangs_is_told_as_one_that_is_away(
    monitor: Monitor, app: Celery, broker: Valkey
) -> None:
    app.send_task("add", [1, 2], queue="stuck")
    assert len(ids(monitor, "stuck")) == 1
    calls: list[tuple[Any, Any]] = [
        (monitor.queues.GetQueue, pb.GetQueueRequest(name="queues/stuck")),
        (monitor.queues.PeekQueue, pb.PeekQueueRequest(name="queues/stuck")),
        (monitor.queues.PauseQueue, pb.PauseQueueRequest(name="queues/stuck")),
        (monitor.queues.PurgeQueue, pb.PurgeQueueRequest(name="queues/stuck", expected_length=1)),
        (monitor.queues.ListPurges, pb.ListPurgesRequest()),
        (
            monitor.workers.AddConsumer,
            workers_pb2.AddConsumerRequest(all=True, queue="queues/stuck"),
        ),
    ]

    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            answers = list(threads.map(lambda each: refused(*each), calls))
    finally:
        broker.process.send_signal(signal.SIGCONT)
    assert answers == [(Code.UNAVAILABLE, "the broker can't be reached now; try again")] * len(calls)
    assert len(ids(monitor, "stuck")) == 1
