"""What people ask, by the embedder as processes: groups, their identity, and assigning between analyses."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.embedder.v1 import insights_pb2 as pb
from celeriac.embedder.v1 import insights_pb2_grpc, messages_pb2, messages_pb2_grpc
from celeriac.operations.v1 import operations_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, all_listed, eventually, fields_at_fault, refused
from tests.support.embedder_workers import MODULE, Worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.processes import ServiceProcess, as_its_role, environment_of
from tests.support.servers import Valkey
from tests.support.sql import fetch

DONE = operations_pb2.OPERATION_STATE_DONE
UNKNOWN: Any = 9
DAY = 86_400
NAMED, KINDS = "display_name", "kinds[0]"
# Near to each other for the model of bigrams, and far from the other topic.
REFUNDS = ["退款多久會到帳？", "退款多久會到帳呢？", "退款多久會到帳啊？", "請問退款多久會到帳？"]
PASSWORDS = ["how do I reset my password?", "how can I reset my password?", "how do I reset the password?"]


class Stubs:
    """The embedder's services with an admin's token, and the monitor's for operations."""

    def __init__(self, channel: grpc.Channel, token: str, monitor: Monitor) -> None:
        self.insights: Any = Caller(insights_pb2_grpc.InsightServiceStub(channel), token)
        self.messages: Any = Caller(messages_pb2_grpc.MessageServiceStub(channel), token)
        self.operations: Any = monitor.operations

    def wait(self, operation: Any) -> Any:
        request = operations_pb2.WaitOperationRequest(name=operation.name, timeout={"seconds": 25})
        ended = self.operations.WaitOperation(request).operation
        assert ended.state == DONE, ended
        return ended

    def ingest(self, texts: Sequence[str], days_ago: int = 0) -> list[str]:
        """Stores and embeds messages of users; returns their names."""
        at = Timestamp(seconds=int(time.time()) - days_ago * DAY)
        sent = [
            messages_pb2.Message(
                name=f"messages/{uuid.uuid4().hex}",
                conversation="conversations/c",
                role=messages_pb2.MESSAGE_ROLE_USER,
                text=text,
                create_time=at,
            )
            for text in texts
        ]
        self.messages.IngestMessages(iter([messages_pb2.IngestMessagesRequest(messages=sent)]))
        self.wait(self.messages.EmbedMessages(messages_pb2.EmbedMessagesRequest(min_length=0)).operation)
        return [message.name for message in sent]

    def analyse(self, **wanted: Any) -> Any:
        return self.wait(self.insights.RunAnalysis(pb.RunAnalysisRequest(**wanted)).operation)

    def hot(self, **wanted: Any) -> list[Any]:
        return list(self.insights.ListHotQuestions(pb.ListHotQuestionsRequest(**wanted)).questions)

    def cluster_of(self, text: str) -> Any:
        return self.insights.AssignQuestion(pb.AssignQuestionRequest(text=text)).cluster

    def members(self, cluster: str) -> set[str]:
        request = pb.GetClusterRequest(name=cluster, page_size=1000)
        return {message.name for message in self.insights.GetCluster(request).members}


@pytest.fixture(scope="module")
def environment(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> dict[str, str]:
    valkey.flush()
    return as_its_role("embedder", environment_of("embedder", certificates, database_url, valkey))


@pytest.fixture(scope="module")
def processes(
    certificates: Path, tokens: LocalIssuer, environment: dict[str, str], database_url: str, valkey: Valkey
) -> Iterator[tuple[ServiceProcess, Monitor]]:
    service, worker = ServiceProcess("embedder", certificates, environment, MODULE), Worker(environment)
    with running_monitor(certificates, tokens, database_url, valkey) as monitor:
        try:
            service.start()
            worker.start()
            yield service, monitor
        finally:
            worker.kill()
            assert service.stop() == 0


@pytest.fixture
def stubs(processes: tuple[ServiceProcess, Monitor], tokens: LocalIssuer) -> Iterator[Stubs]:
    """Without messages of the test before."""
    service, monitor = processes
    with service.channel() as channel:
        found = Stubs(channel, tokens.mint("admin", subject="mei"), monitor)
        for message in all_listed(
            found.messages.ListMessages, messages_pb2.ListMessagesRequest(page_size=1000), "messages"
        ):
            found.messages.DeleteMessage(messages_pb2.DeleteMessageRequest(name=message.name))
        yield found


def test_groups_are_ranked_with_their_trend_examples_and_languages(stubs: Stubs) -> None:
    stubs.ingest(REFUNDS * 2)
    stubs.ingest(REFUNDS[:3], days_ago=1)
    stubs.ingest(PASSWORDS)
    stubs.ingest(["收到了，謝謝", "zq vx jj kk?"])
    stubs.analyse()
    answer = stubs.insights.ListHotQuestions(pb.ListHotQuestionsRequest(days=1, periods=3))
    first, second = answer.questions
    assert first.title in REFUNDS
    assert "退款" in first.keywords
    assert (first.count, first.previous_count, list(first.period_counts), first.size) == (8, 3, [0, 3, 8], 11)
    assert len(set(first.cluster.examples) | {first.title}) == 4
    assert [(one.language, one.count) for one in first.cluster.languages] == [("zh", 11)]
    assert [(one.language, one.count) for one in second.cluster.languages] == [("en", 3)]
    assert (answer.analysis.question_count, answer.analysis.cluster_count) == (16, 2)
    assert (answer.analysis.small_talk_count, answer.analysis.unlike_others_count) == (1, 1)
    assert answer.analysis.method == pb.ANALYSIS_METHOD_COMMUNITIES
    alone = stubs.insights.ListUngroupedQuestions(pb.ListUngroupedQuestionsRequest()).questions
    assert {(one.message.text, one.kind) for one in alone} == {
        ("收到了，謝謝", pb.UNGROUPED_KIND_SMALL_TALK),
        ("zq vx jj kk?", pb.UNGROUPED_KIND_UNLIKE_OTHERS),
    }
    talk = pb.ListUngroupedQuestionsRequest(kinds=[pb.UNGROUPED_KIND_SMALL_TALK])
    assert [one.message.text for one in stubs.insights.ListUngroupedQuestions(talk).questions] == [
        "收到了，謝謝"
    ]


def test_a_group_has_its_members_in_pages_and_its_days(stubs: Stubs) -> None:
    names = stubs.ingest(REFUNDS, days_ago=2) + stubs.ingest(REFUNDS)
    stubs.ingest(PASSWORDS)
    stubs.analyse()
    cluster = stubs.hot()[0].cluster
    request = pb.GetClusterRequest(name=cluster.name, page_size=3, days=4)
    found = all_listed(stubs.insights.GetCluster, request, "members")
    assert [message.name for message in found] == sorted(names[4:], reverse=True) + sorted(
        names[:4], reverse=True
    )
    days = stubs.insights.GetCluster(request).day_counts
    assert [one.count for one in days] == [0, 4, 0, 4]
    assert days[-1].day == max(one.day for one in days)


def test_groups_keep_their_identity_and_their_names(stubs: Stubs) -> None:
    stubs.ingest(REFUNDS)
    stubs.ingest(PASSWORDS)
    stubs.analyse()
    refund, password = stubs.cluster_of(REFUNDS[0]), stubs.cluster_of(PASSWORDS[0])
    named = stubs.insights.NameCluster(pb.NameClusterRequest(name=password.name, display_name="密碼")).cluster
    assert (named.display_name, named.named_by, named.size) == ("密碼", "mei", 3)
    # The named group becomes the larger one, and so the first.
    stubs.ingest(PASSWORDS * 3)
    stubs.analyse()
    assert [one.cluster.name for one in stubs.hot()] == [password.name, refund.name]
    assert stubs.hot()[0].cluster.display_name == "密碼"
    assert stubs.hot()[0].cluster.first_seen_time == password.first_seen_time
    # Nobody asks any more: the name stays, for the day on which somebody does.
    for name in stubs.members(password.name):
        stubs.messages.DeleteMessage(messages_pb2.DeleteMessageRequest(name=name))
    stubs.analyse()
    listed = stubs.insights.ListClusters(pb.ListClustersRequest()).clusters
    assert [(one.name, one.display_name, one.size) for one in listed] == [
        (refund.name, "", 4),
        (password.name, "密碼", 0),
    ]
    assert [one.cluster.name for one in stubs.hot()] == [refund.name]
    stubs.ingest(PASSWORDS)
    stubs.analyse()
    assert stubs.cluster_of(PASSWORDS[0]).name == password.name
    stubs.insights.NameCluster(pb.NameClusterRequest(name=password.name))
    assert stubs.cluster_of(PASSWORDS[0]).display_name == ""


def test_new_questions_are_assigned_between_analyses(stubs: Stubs) -> None:
    stubs.ingest(REFUNDS)
    stubs.ingest(PASSWORDS)
    stubs.analyse()
    cluster = stubs.cluster_of(REFUNDS[0])
    [new] = stubs.ingest([REFUNDS[1]])
    talk, alone = stubs.ingest(["thanks, that worked", "zq vx jj kk?"])

    def ungrouped() -> dict[str, int]:
        found = stubs.insights.ListUngroupedQuestions(pb.ListUngroupedQuestionsRequest()).questions
        return {one.message.name: one.kind for one in found}

    expected = {talk: pb.UNGROUPED_KIND_SMALL_TALK, alone: pb.UNGROUPED_KIND_UNLIKE_OTHERS}
    eventually(lambda: ungrouped() == expected)
    assert new in stubs.members(cluster.name)
    [hot] = [one for one in stubs.hot() if one.cluster.name == cluster.name]
    assert (hot.count, hot.size) == (5, 5)


def test_a_question_is_told_its_group_and_small_talk_none(stubs: Stubs) -> None:
    stubs.ingest(REFUNDS + PASSWORDS)
    stubs.analyse()

    def ask(text: str) -> Any:
        return stubs.insights.AssignQuestion(pb.AssignQuestionRequest(text=text))

    answer = ask(REFUNDS[1].strip("？"))
    assert answer.cluster.title in REFUNDS
    assert answer.nearest[0].cluster == answer.cluster
    assert answer.nearest[0].score > answer.nearest[1].score
    small = ask("好的，謝謝您")
    assert (small.small_talk, small.HasField("cluster")) == (True, False)
    assert not ask("zq vx jj kk?").HasField("cluster")


def test_a_deleted_or_changed_question_is_in_no_answer(stubs: Stubs) -> None:
    stubs.ingest(REFUNDS)
    stubs.analyse()
    [hot] = stubs.hot()
    stored = stubs.messages.ListMessages(messages_pb2.ListMessagesRequest()).messages
    [titled] = [message for message in stored if message.text == hot.title]
    stubs.messages.DeleteMessage(messages_pb2.DeleteMessageRequest(name=titled.name))
    # At once, though the ranking is in Redis.
    [left] = stubs.hot()
    assert titled.text not in {left.title, *left.cluster.examples}
    assert left.title in REFUNDS
    changed = next(message for message in stored if message.text != titled.text)
    changed.text = "how do I reset my password?"
    stubs.messages.IngestMessages(iter([messages_pb2.IngestMessagesRequest(messages=[changed])]))
    assert changed.name not in stubs.members(left.cluster.name)


async def test_answers_come_from_redis_and_are_refreshed_whole(
    stubs: Stubs, database_url: str, valkey: Valkey
) -> None:
    stubs.ingest(REFUNDS)
    stubs.analyse()
    [hot] = stubs.hot(days=3)
    # What nobody told the revision of is not seen: the answer is that of before.
    await fetch(database_url, "UPDATE question_clusters SET keywords = '{x}'")
    assert stubs.hot(days=3) == [hot]
    client = redis.Redis(valkey.host, valkey.port)
    keys = set(client.keys("celeriac:questions:*"))
    assert keys
    stubs.insights.NameCluster(pb.NameClusterRequest(name=hot.cluster.name, display_name="退款"))
    assert stubs.hot(days=3)[0].keywords == ["x"]
    assert set(client.keys("celeriac:questions:*")) > keys


async def test_pages_are_of_one_analysis(stubs: Stubs, database_url: str) -> None:
    stubs.ingest(REFUNDS)
    stubs.analyse()
    await fetch(database_url, "DELETE FROM question_clusters")
    await fetch(
        database_url,
        "WITH made AS (INSERT INTO question_clusters (id, model, title, keywords, size)"
        " SELECT n, 'bigrams@1', 'question ' || n, '{}', 1 FROM generate_series(1, 7) AS n RETURNING id)"
        " INSERT INTO question_stats_daily (day, cluster_id, questions)"
        # Some are asked equally often, and the last one not in these days.
        " SELECT (now() AT TIME ZONE 'Asia/Taipei')::date - CASE id WHEN 7 THEN 9 ELSE 0 END, id, id / 2 + 1"
        " FROM made",
    )
    await fetch(database_url, "UPDATE question_analysis SET revision = revision + 1")
    request = pb.ListHotQuestionsRequest(page_size=2)
    found = all_listed(stubs.insights.ListHotQuestions, request, "questions")
    counts = [(each.title[-1], each.count) for each in found]
    assert counts == [("6", 4), ("4", 3), ("5", 3), ("2", 2), ("3", 2), ("1", 1)]
    listed = all_listed(stubs.insights.ListClusters, pb.ListClustersRequest(page_size=3), "clusters")
    assert [each.name for each in listed] == [f"clusters/{number}" for number in range(1, 8)]
    token = stubs.insights.ListHotQuestions(pb.ListHotQuestionsRequest(page_size=2)).next_page_token
    await fetch(database_url, "UPDATE question_analysis SET analysed_at = now() + interval '1 second'")
    for wrong in (token, "nonsense"):
        again = pb.ListHotQuestionsRequest(page_size=2, page_token=wrong)
        assert fields_at_fault(stubs.insights.ListHotQuestions, again) == ["page_token"]


def test_an_analysis_is_one_operation_however_often_it_is_asked_for(stubs: Stubs) -> None:
    stubs.ingest(REFUNDS)
    request = pb.RunAnalysisRequest(method=pb.ANALYSIS_METHOD_K_MEANS, cluster_count=2, request_id="r1")
    first = stubs.wait(stubs.insights.RunAnalysis(request).operation)
    assert (first.total, first.done, first.failed) == (4, 4, 0)
    assert dict(first.metadata) == {"way": "k_means", "clusters": 2.0, "model": "models/bigrams@1"}
    assert stubs.insights.RunAnalysis(request).operation.name == first.name
    request.cluster_count = 3
    assert fields_at_fault(stubs.insights.RunAnalysis, request) == ["request_id"]


async def test_an_analysis_whose_message_was_lost_is_sent_again(stubs: Stubs, database_url: str) -> None:
    stubs.ingest(REFUNDS)
    [row] = await fetch(
        database_url,
        "INSERT INTO celery_operations (owner, kind, metadata, resource, actor, work, total, created_at)"
        " VALUES ('embedder', 'precompute_question_classifications',"
        ' \'{"way": "communities", "clusters": 0, "model": "models/bigrams@1"}\','
        " '', 'mei', 'questions', 4, now() - interval '1 minute') RETURNING id",
    )
    request = operations_pb2.GetOperationRequest(name=f"operations/{row['id']}")
    eventually(lambda: stubs.operations.GetOperation(request).operation.state == DONE)


def test_bad_input_is_told_by_field(stubs: Stubs) -> None:
    insights = stubs.insights
    for call, request, field in [
        (insights.ListHotQuestions, pb.ListHotQuestionsRequest(days=367), "days"),
        (insights.ListHotQuestions, pb.ListHotQuestionsRequest(periods=1), "periods"),
        (insights.ListHotQuestions, pb.ListHotQuestionsRequest(periods=61), "periods"),
        (insights.ListClusters, pb.ListClustersRequest(page_token="nonsense"), "page_token"),
        (insights.GetCluster, pb.GetClusterRequest(name="clusters/x"), "name"),
        (insights.GetCluster, pb.GetClusterRequest(name="clusters/1", days=-1), "days"),
        (insights.GetCluster, pb.GetClusterRequest(name="clusters/1", page_token="nonsense"), "page_token"),
        (insights.ListUngroupedQuestions, pb.ListUngroupedQuestionsRequest(kinds=[UNKNOWN]), KINDS),
        (insights.AssignQuestion, pb.AssignQuestionRequest(), "text"),
        (insights.RunAnalysis, pb.RunAnalysisRequest(method=UNKNOWN), "method"),
        (insights.RunAnalysis, pb.RunAnalysisRequest(cluster_count=257), "cluster_count"),
        (insights.RunAnalysis, pb.RunAnalysisRequest(cluster_count=2), "cluster_count"),
        (insights.NameCluster, pb.NameClusterRequest(name="clusters/0"), "name"),
        (insights.NameCluster, pb.NameClusterRequest(name="clusters/1", display_name="\n"), NAMED),
    ]:
        assert fields_at_fault(call, request) == [field], request
    for call, request in [
        (insights.GetCluster, pb.GetClusterRequest(name="clusters/999999")),
        (insights.NameCluster, pb.NameClusterRequest(name="clusters/999999", display_name="x")),
    ]:
        assert refused(call, request)[0] == grpc.StatusCode.NOT_FOUND
