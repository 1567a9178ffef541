"""The embedder as processes: messages in, embedded by workers that die, found, deleted."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import kombu
import numpy as np
import pytest
from celeriac.embedder.v1 import (
    insights_pb2,
    insights_pb2_grpc,
    messages_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from celeriac.embedder.v1 import messages_pb2 as pb
from celeriac.operations.v1 import operations_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from deploy.standalone.tokens import LocalIssuer
from services.embedder.bulk.worker import EMBED_CHUNK, celery_app
from services.kernel.settings import KernelSettings
from tests.support.bigram_embedder import embed
from tests.support.calls import Caller, all_listed, eventually, fields_at_fault, refused
from tests.support.embedder_workers import MODULE, Worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.operations import let_it_be_lost
from tests.support.processes import ServiceProcess, as_its_role, environment_of
from tests.support.servers import Valkey
from tests.support.sql import fetch

# A number that the contract does not have: proto3 enums are open.
UNKNOWN: Any = 9
USER, ASSISTANT = pb.MESSAGE_ROLE_USER, pb.MESSAGE_ROLE_ASSISTANT
DONE = operations_pb2.OPERATION_STATE_DONE
CANCELLED = operations_pb2.OPERATION_STATE_CANCELLED
Code = grpc.StatusCode
START_SECONDS = 120.0


@pytest.fixture(scope="module")
def environment(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> dict[str, str]:
    valkey.flush()
    return as_its_role("embedder", environment_of("embedder", certificates, database_url, valkey))


@pytest.fixture(scope="module")
def monitor(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> Iterator[Monitor]:
    with running_monitor(certificates, tokens, database_url, valkey) as monitor:
        yield monitor


@pytest.fixture(scope="module")
def service(certificates: Path, environment: dict[str, str]) -> Iterator[ServiceProcess]:
    process = ServiceProcess("embedder", certificates, environment, MODULE)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def worker(environment: dict[str, str]) -> Iterator[Worker]:
    worker = Worker(environment)
    try:
        worker.start()
        yield worker
    finally:
        worker.kill()


class Stubs:
    """The embedder's services, and the monitor's for operations, with an admin's token."""

    def __init__(self, channel: grpc.Channel, token: str, monitor: Monitor) -> None:
        self.messages: Any = Caller(messages_pb2_grpc.MessageServiceStub(channel), token)
        self.operations: Any = monitor.operations
        self.insights: Any = Caller(insights_pb2_grpc.InsightServiceStub(channel), token)
        self.search: Any = Caller(search_pb2_grpc.SearchServiceStub(channel), token)

    def ingest(self, *messages: pb.Message) -> pb.IngestMessagesResponse:
        answer: pb.IngestMessagesResponse = self.messages.IngestMessages(
            iter([pb.IngestMessagesRequest(messages=messages)])
        )
        return answer

    def embed(self, **wanted: Any) -> Any:
        return self.messages.EmbedMessages(pb.EmbedMessagesRequest(**wanted)).operation

    def wait(self, operation: Any) -> Any:
        request = operations_pb2.WaitOperationRequest(name=operation.name, timeout={"seconds": 25})
        return self.operations.WaitOperation(request).operation

    def embed_all(self, **wanted: Any) -> Any:
        ended = self.wait(self.embed(**wanted))
        assert ended.state == DONE, ended
        return ended

    def forget_questions(self) -> None:
        """Deletes what users wrote: an analysis takes in all of it, whichever test it is from."""
        request = pb.ListMessagesRequest(roles=[USER], page_size=1000)
        for found in self.messages.ListMessages(request).messages:
            self.messages.DeleteMessage(pb.DeleteMessageRequest(name=found.name))

    def found(self, text: str, **more: Any) -> list[str]:
        request = search_pb2.SearchMessagesRequest(text=text, **more)
        return [result.message.name for result in self.search.SearchMessages(request).results]


@pytest.fixture
def stubs(service: ServiceProcess, tokens: LocalIssuer, monitor: Monitor) -> Iterator[Stubs]:
    with service.channel() as channel:
        yield Stubs(channel, tokens.mint("admin", subject="mei"), monitor)


def message(text: str, **more: Any) -> pb.Message:
    values = {"name": f"messages/{uuid.uuid4().hex}", "conversation": "conversations/c", "role": USER}
    return pb.Message(**{**values, "text": text, **more})


async def stored(database_url: str, name: str) -> list[asyncpg.Record]:
    query = "SELECT * FROM chat_message_embeddings_1024 WHERE message_id = $1"
    return await fetch(database_url, query, name.removeprefix("messages/"))


def test_what_is_ingested_twice_is_stored_once(stubs: Stubs) -> None:
    first, second = message("帳單要在哪裡看？"), message("怎麼退貨？")
    assert stubs.ingest(first, second) == pb.IngestMessagesResponse(created=2)
    assert stubs.ingest(first, second) == pb.IngestMessagesResponse(unchanged=2)
    second.text = "怎麼換貨？"
    assert stubs.ingest(first, second) == pb.IngestMessagesResponse(changed=1, unchanged=1)
    kept = stubs.messages.GetMessage(pb.GetMessageRequest(name=second.name)).message
    assert kept.text == "怎麼換貨？"
    again = message("怎麼退款？", name=second.name)
    told = stubs.ingest(first, second, again)
    assert told == pb.IngestMessagesResponse(changed=1, unchanged=1, duplicates=1)


def test_a_request_at_fault_is_named_and_those_before_it_are_kept(stubs: Stubs) -> None:
    good = message("stays in the store")
    bad = pb.Message(name="messages/with space", role=UNKNOWN, text="nul\0")
    requests = [pb.IngestMessagesRequest(messages=[good]), pb.IngestMessagesRequest(messages=[good, bad])]
    at_fault = fields_at_fault(stubs.messages.IngestMessages, iter(requests))
    prefix = "requests[1].messages[1]"
    assert at_fault == [f"{prefix}.name", f"{prefix}.conversation", f"{prefix}.role", f"{prefix}.text"]
    assert stubs.messages.GetMessage(pb.GetMessageRequest(name=good.name)).message.text == good.text


def test_messages_are_listed_in_pages(stubs: Stubs) -> None:
    conversation = f"conversations/{uuid.uuid4().hex}"
    sent = [message(f"number {n}", conversation=conversation) for n in range(5)]
    stubs.ingest(*sent)
    request = pb.ListMessagesRequest(page_size=2, conversation=conversation)
    names = [found.name for found in all_listed(stubs.messages.ListMessages, request, "messages")]
    assert names == sorted(one.name for one in sent)


@pytest.mark.usefixtures("worker")
async def test_each_message_is_embedded_once(stubs: Stubs, database_url: str) -> None:
    one = message("where can I see my bill?")
    stubs.ingest(one)
    operation = stubs.embed_all()
    assert (operation.owner, operation.kind, operation.actor) == ("embedder", "rebuild_chat_vectors", "mei")
    assert dict(operation.metadata) == {
        "force_rebuild": False,
        "role": "user",
        "min_length": 5,
        "model": "models/bigrams@1",
    }
    [row] = await stored(database_url, one.name)
    assert row["model"] == "bigrams@1"
    expected = embed([one.text], "user")[0]
    assert np.array_equal(np.frombuffer(row["vector"], dtype="<f4"), expected)
    again = stubs.embed_all()
    assert again.total == 0
    stubs.embed_all(force_rebuild=True)
    assert await stored(database_url, one.name) == [row]


@pytest.mark.usefixtures("worker")
def test_a_rebuild_that_is_asked_for_again_under_its_id_is_the_one_that_has_ended(stubs: Stubs) -> None:
    stubs.ingest(message("how often is this embedded?"))
    request_id = uuid.uuid4().hex
    ended = stubs.embed_all(force_rebuild=True, request_id=request_id)
    assert stubs.embed(force_rebuild=True, request_id=request_id) == ended
    assert stubs.embed(force_rebuild=True, request_id=uuid.uuid4().hex).name != ended.name
    other = pb.EmbedMessagesRequest(min_length=7, request_id=request_id)
    assert fields_at_fault(stubs.messages.EmbedMessages, other) == ["request_id"]


def test_the_lines_of_a_chunk_have_the_id_of_the_request_that_asked_for_it(
    stubs: Stubs, service: ServiceProcess, worker: Worker, tokens: LocalIssuer
) -> None:
    stubs.ingest(message("who has asked for this?"))
    with service.channel() as channel:
        messages: Any = Caller(
            messages_pb2_grpc.MessageServiceStub(channel), tokens.mint("admin"), request_id="ticket-4711"
        )
        operation = messages.EmbedMessages(pb.EmbedMessagesRequest()).operation
    assert stubs.wait(operation).total == 1

    def events(process: ServiceProcess | Worker) -> set[str]:
        lines = [json.loads(line) for line in process.log().splitlines()]
        return {line["event"] for line in lines if line.get("request_id") == "ticket-4711"}

    assert events(service) >= {"rebuild.begun", "rpc.answered"}
    assert eventually(lambda: events(worker) >= {"chunk.done", "task.ended"})


@pytest.mark.usefixtures("worker")
async def test_a_doubled_chunk_changes_nothing(
    stubs: Stubs, database_url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = message("a chunk that comes twice")
    stubs.ingest(one)
    ended = stubs.embed_all()
    before = await stored(database_url, one.name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = celery_app(KernelSettings())
    result = app.send_task(EMBED_CHUNK, args=[ended.name.removeprefix("operations/"), 0])
    result.get(timeout=20)
    app.close()
    assert await stored(database_url, one.name) == before


@pytest.mark.usefixtures("worker")
async def test_a_poison_text_is_set_aside_and_the_rest_goes_on(stubs: Stubs, database_url: str) -> None:
    good, bad = message("a sound text"), message("a poison text")
    stubs.ingest(good, bad)
    ended = stubs.embed_all()
    assert (ended.total, ended.done, ended.failed) == (2, 2, 1)
    assert len(await stored(database_url, good.name)) == 1
    assert await stored(database_url, bad.name) == []
    assert stubs.embed_all().total == 0, "it is not tried again by itself"
    stubs.messages.DeleteMessage(pb.DeleteMessageRequest(name=bad.name))


async def test_no_chunk_is_lost_when_a_pool_process_is_killed(
    stubs: Stubs, worker: Worker, database_url: str
) -> None:
    one = message(f"slow {uuid.uuid4().hex}")
    stubs.ingest(one)
    operation = stubs.embed()
    await _taken(database_url, operation.name)
    for child in worker.children():
        child.kill()
    assert stubs.wait(operation).state == DONE
    assert len(await stored(database_url, one.name)) == 1


async def test_no_chunk_is_lost_when_the_whole_worker_is_killed(
    stubs: Stubs, worker: Worker, database_url: str
) -> None:
    one = message(f"slow {uuid.uuid4().hex}")
    stubs.ingest(one)
    operation = stubs.embed()
    await _taken(database_url, operation.name)
    worker.kill()
    worker.start()
    assert stubs.wait(operation).state == DONE
    assert len(await stored(database_url, one.name)) == 1


async def test_a_text_that_kills_its_process_is_set_aside_in_the_end(
    stubs: Stubs, worker: Worker, database_url: str
) -> None:
    one = message(f"deadly {uuid.uuid4().hex}")
    stubs.ingest(one)
    ended = stubs.embed_all()
    assert ended.failed == 1
    assert await stored(database_url, one.name) == []
    eventually(lambda: len(worker.children()) >= 2)


@pytest.mark.usefixtures("worker")
def test_a_pickled_message_is_refused_and_the_worker_goes_on(stubs: Stubs, valkey: Valkey) -> None:
    with kombu.Connection(f"redis://{valkey.host}:{valkey.port}/0") as connection:
        producer = connection.Producer(serializer="pickle")
        headers = {"task": "report_worker_health", "id": str(uuid.uuid4()), "lang": "py"}
        producer.publish(((), {}, {}), routing_key="ai_analysis", headers=headers)
    stubs.ingest(message("after the pickle"))
    stubs.embed_all()


async def _taken(database_url: str, operation: str) -> None:
    """Waits until a worker is in the middle of the operation."""
    query = "SELECT 1 FROM embedder_operation_chunks WHERE operation_id = $1::uuid AND state = 'taken'"
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(2000):
            if await connection.fetchval(query, operation.removeprefix("operations/")):
                return
            await connection.execute("SELECT pg_sleep(0.01)")
        raise AssertionError("no worker took the chunk")
    finally:
        await connection.close()


@pytest.mark.usefixtures("worker")
def test_search_finds_by_meaning_within_its_filters(stubs: Stubs) -> None:
    asked = message(
        "退貨的流程是什麼？", conversation="conversations/a", create_time=Timestamp(seconds=1_000)
    )
    same = message(
        "退貨的流程是什麼呢？", conversation="conversations/b", create_time=Timestamp(seconds=2_000)
    )
    other = message("明天會下雨嗎，要帶傘嗎？", conversation="conversations/a")
    stubs.ingest(asked, same, other)
    stubs.embed_all()
    query = "退貨流程是什麼？"
    eventually(lambda: stubs.found(query, k=2) == [asked.name, same.name])
    in_b = {"conversation": "conversations/b"}
    assert stubs.found(query, k=1, **in_b) == [same.name]
    assert stubs.found(query, k=5, start_time=Timestamp(seconds=1_500), **in_b) == [same.name]
    assert stubs.found(query, k=5, end_time=Timestamp(seconds=1_500)) == [asked.name]
    assert stubs.found(query, roles=[ASSISTANT]) == []
    assert stubs.found(query, k=5, min_score=0.99) == []
    request = search_pb2.SearchMessagesRequest(vector=embed([same.text], "user")[0].tobytes(), k=1)
    [best] = stubs.search.SearchMessages(request).results
    assert best.message.name == same.name
    assert best.score == pytest.approx(1.0, abs=1e-5)


@pytest.mark.usefixtures("worker")
async def test_a_deleted_message_is_gone_with_its_vector(stubs: Stubs, database_url: str) -> None:
    one = message("please forget that I asked this")
    stubs.ingest(one)
    stubs.embed_all()
    eventually(lambda: stubs.found(one.text, k=1) == [one.name])
    stubs.messages.DeleteMessage(pb.DeleteMessageRequest(name=one.name))
    assert one.name not in stubs.found(one.text, k=1)
    assert await stored(database_url, one.name) == []
    assert refused(stubs.messages.GetMessage, pb.GetMessageRequest(name=one.name))[0] is Code.NOT_FOUND


def test_an_operation_is_shown_as_lost_while_no_embedder_is_there(
    stubs: Stubs, service: ServiceProcess, worker: Worker, database_url: str
) -> None:
    worker.kill()
    stubs.ingest(message("who goes on with this?"))
    operation = stubs.embed()
    request = operations_pb2.GetOperationRequest(name=operation.name)
    service.kill()
    let_it_be_lost(database_url, operation.name)
    lost = operations_pb2.OPERATION_STATE_OWNER_LOST
    assert stubs.operations.GetOperation(request).operation.state == lost
    service.start()
    eventually(lambda: stubs.operations.GetOperation(request).operation.state != lost)
    worker.start()
    assert stubs.wait(operation).state == DONE


def test_a_cancelled_operation_does_not_go_on(stubs: Stubs, worker: Worker) -> None:
    worker.kill()
    one = message("assistant text nobody needs", role=ASSISTANT)
    stubs.ingest(one)
    operation = stubs.embed(role=ASSISTANT)
    assert stubs.embed(role=ASSISTANT).name == operation.name, "the running one is the answer"
    request = operations_pb2.CancelOperationRequest(name=operation.name)
    assert stubs.operations.CancelOperation(request).operation.cancel_requested_by == "mei"
    assert stubs.wait(operation).state == CANCELLED
    worker.start()
    assert stubs.embed_all(role=ASSISTANT).done == 1
    request_get = operations_pb2.GetOperationRequest(name=operation.name)
    assert stubs.operations.GetOperation(request_get).operation.done == 0
    listed = stubs.operations.ListOperations(operations_pb2.ListOperationsRequest(page_size=2))
    assert listed.operations[1].name == operation.name
    assert listed.next_page_token


@pytest.mark.usefixtures("worker")
def test_the_scheduled_tasks_tell_what_is_asked_most_with_its_trend(
    stubs: Stubs, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stubs.forget_questions()
    now = int(time.time())
    today = [message("退貨運費誰負擔？", create_time=Timestamp(seconds=now)) for _ in range(4)]
    earlier = message("退貨運費誰負擔？", create_time=Timestamp(seconds=now - 2 * 86400))
    others = [
        "where can I see my bill?",
        "where can I see my bills?",
        "how do I reset my password?",
        "how do I reset my passwords?",
    ]
    stubs.ingest(*today, earlier, *map(message, others))
    stubs.embed_all()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = celery_app(KernelSettings())
    analysed = app.send_task("precompute_question_classifications").get(timeout=30)
    assert analysed["clusters"] >= 2
    operation = stubs.operations.GetOperation(operations_pb2.GetOperationRequest(name=analysed["operation"]))
    assert (operation.operation.state, operation.operation.done) == (DONE, 9)
    with pytest.raises(Exception, match="clusters is -1"):
        app.send_task("precompute_question_classifications", args=[-1]).get(timeout=30)
    with pytest.raises(Exception, match=r"user_role is 'bot'.*min_length is -1"):
        app.send_task("rebuild_chat_vectors", kwargs={"user_role": "bot", "min_length": -1}).get(timeout=30)
    warmed = app.send_task("preload_vector_services", queue="maintenance").get(timeout=30)
    assert warmed == {"answers_ready": 4}
    cleaned = app.send_task("cleanup_cache", queue="maintenance").get(timeout=30)
    assert cleaned == {"operations_removed": 0, "answers_removed": 0}
    rebuild = app.send_task("rebuild_chat_vectors")
    request = operations_pb2.GetOperationRequest(name=rebuild.get(timeout=30)["operation"])
    assert stubs.operations.GetOperation(request).operation.actor == f"tasks/{rebuild.id}"
    health = app.send_task("report_worker_health", queue="health").get(timeout=30)
    assert health["model"] == "bigrams@1"
    app.close()
    answer = stubs.insights.ListHotQuestions(insights_pb2.ListHotQuestionsRequest(days=1))
    assert answer.analysis_time.seconds >= now
    [hot] = [question for question in answer.questions if question.title.startswith("退貨運費")]
    assert (hot.count, hot.previous_count, hot.size) == (4, 0, 5)
    assert "運費" in hot.keywords
    wider = stubs.insights.ListHotQuestions(insights_pb2.ListHotQuestionsRequest(days=2))
    [hot] = [question for question in wider.questions if question.title.startswith("退貨運費")]
    assert (hot.count, hot.previous_count) == (4, 1)


def test_bad_input_is_told_by_field(stubs: Stubs) -> None:
    search = search_pb2.SearchMessagesRequest
    for name in ("", "messages/", "messages/a/b"):
        assert fields_at_fault(stubs.messages.GetMessage, pb.GetMessageRequest(name=name)) == ["name"]
        assert fields_at_fault(stubs.messages.DeleteMessage, pb.DeleteMessageRequest(name=name)) == ["name"]
    long = "conversations/" + "x" * 201
    wrong_list = pb.ListMessagesRequest(roles=[USER, UNKNOWN], conversation=long)
    assert fields_at_fault(stubs.messages.ListMessages, wrong_list) == ["conversation", "roles[1]"]
    for conversation in ("chat-42", "messages/chat-42", "conversations/"):
        wrong_list = pb.ListMessagesRequest(conversation=conversation)
        assert fields_at_fault(stubs.messages.ListMessages, wrong_list) == ["conversation"]
    sent = pb.Message(
        name="messages/a", conversation="conversations/chat\u200b-42", role=USER, text="怎麼退貨？"
    )
    wrong_ingest = pb.IngestMessagesRequest(messages=[sent])
    ingest = lambda request: stubs.messages.IngestMessages(iter([request]))  # noqa: E731
    assert fields_at_fault(ingest, wrong_ingest) == ["requests[0].messages[0].conversation"]
    wrong_embed = pb.EmbedMessagesRequest(role=UNKNOWN, min_length=-1)
    assert fields_at_fault(stubs.messages.EmbedMessages, wrong_embed) == ["role", "min_length"]
    nan = np.full(1024, np.nan, dtype="<f4").tobytes()
    for request, fields in [
        (search(), ["text"]),
        (search(text=""), ["text"]),
        (search(vector=b"123"), ["vector"]),
        (search(vector=nan), ["vector"]),
        (search(text="x", k=-1, min_score=2), ["k", "min_score"]),
        (search(text="x", conversation="chat-42", roles=[UNKNOWN]), ["conversation", "roles[0]"]),
    ]:
        assert fields_at_fault(stubs.search.SearchMessages, request) == fields


def test_a_worker_ends_by_itself_when_told_to(stubs: Stubs, worker: Worker) -> None:
    assert worker.stop() == 0
    worker.start()
