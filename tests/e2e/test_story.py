"""The main job, as an operator does it through the gateway of the system that `make up` runs."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.embedder.v1 import insights_pb2, insights_pb2_grpc, search_pb2, search_pb2_grpc
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc, tasks_pb2, tasks_pb2_grpc
from celeriac.operations.v1 import operations_pb2, operations_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as schedules
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.support.calls import eventually
from tests.support.system import System

BUF = Path(sys.executable).with_name("buf")
HOURLY = "schedules/process-new-chat-vectors-hourly"


class Operator:
    """An admin's stubs through the gateway."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
        self.tasks: Any = tasks_pb2_grpc.TaskServiceStub(channel)
        self.monitoring: Any = monitoring_pb2_grpc.MonitoringServiceStub(channel)
        self.operations: Any = operations_pb2_grpc.OperationServiceStub(channel)
        self.search: Any = search_pb2_grpc.SearchServiceStub(channel)
        self.insights: Any = insights_pb2_grpc.InsightServiceStub(channel)
        self.audit: Any = audit_pb2_grpc.AuditServiceStub(channel)

    def ended_task(self, name: str) -> tasks_pb2.Task | None:
        """The task, once the monitor has heard that it ended well."""
        try:
            answer = self.tasks.GetTask(tasks_pb2.GetTaskRequest(name=name))
        except grpc.RpcError:
            return None
        task: tasks_pb2.Task = answer.task
        return task if task.state == tasks_pb2.TASK_STATE_SUCCESS else None

    def trigger(self, schedule: str) -> tasks_pb2.Task:
        """Runs a schedule now, and waits for its task's end."""
        run = self.schedules.TriggerSchedule(schedules.TriggerScheduleRequest(name=schedule)).run
        ended: tasks_pb2.Task = eventually(lambda: self.ended_task(run.task), 60)
        return ended


@pytest.fixture(scope="module")
def operator(system: System) -> Iterator[Operator]:
    with system.channel("admin") as channel:
        yield Operator(channel)


@pytest.fixture(scope="module")
def embedded(operator: Operator) -> tasks_pb2.Task:
    """The task of the hourly schedule, triggered by hand, with all its chunks done."""
    task = operator.trigger(HOURLY)
    listed = operator.operations.ListOperations(operations_pb2.ListOperationsRequest(page_size=1))
    request = operations_pb2.WaitOperationRequest(name=listed.operations[0].name, timeout={"seconds": 60})
    operation = operator.operations.WaitOperation(request).operation
    assert operation.state == operations_pb2.OPERATION_STATE_DONE
    assert (operation.done, operation.failed) == (operation.total, 0)
    return task


def test_the_monitor_saw_the_task_on_all_its_way(embedded: tasks_pb2.Task) -> None:
    assert embedded.task_name == "rebuild_chat_vectors"
    assert embedded.queue == "queues/ai_analysis"
    times = [
        found.ToNanoseconds()
        for found in (embedded.sent_time, embedded.received_time, embedded.started_time, embedded.end_time)
    ]
    assert all(times) and times == sorted(times)
    assert embedded.runtime.ToNanoseconds() > 0


@pytest.mark.usefixtures("embedded")
async def test_every_question_of_the_sample_chat_has_a_vector(system: System) -> None:
    connection = await asyncpg.connect(system.database_url)
    try:
        without = await connection.fetchval(
            "SELECT count(*) FROM chat_messages m LEFT JOIN chat_message_embeddings_1024 v"
            " ON v.message_id = m.id WHERE m.role = 'user' AND length(m.text) >= 5 AND v.write IS NULL"
        )
        lengths = await connection.fetch(
            "SELECT DISTINCT octet_length(vector) AS bytes FROM chat_message_embeddings_1024"
        )
    finally:
        await connection.close()
    assert without == 0
    assert [row["bytes"] for row in lengths] == [4096]


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize(
    ("paraphrase", "question"),
    [
        ("要怎麼把發票捐給公益團體？", "我想把發票捐出去，要怎麼設定愛心碼"),
        ("有給學生的折扣嗎", "學生有優惠嗎？"),
        ("尺寸不合，能換一件嗎", "買錯尺寸了可以換貨嗎"),
    ],
)
def test_a_paraphrase_finds_its_chinese_question(operator: Operator, paraphrase: str, question: str) -> None:
    """As soon as the index has all vectors: it follows the table, and finds the best of what it has."""
    request = search_pb2.SearchMessagesRequest(text=paraphrase, k=1)

    def found() -> list[str]:
        return [hit.message.text for hit in operator.search.SearchMessages(request).results]

    eventually(lambda: found() == [question])


@pytest.mark.usefixtures("embedded")
def test_the_audit_log_holds_the_trigger_with_actor_address_and_outcome(operator: Operator) -> None:
    wanted = audit_pb2.ListRecordsRequest(methods=["TriggerSchedule"], resources=[HOURLY])
    newest, *_ = eventually(
        lambda: [
            record
            for record in operator.audit.ListRecords(wanted).records
            if record.outcome == audit_pb2.OUTCOME_OK
        ]
    )
    assert newest.actor == "operator"
    assert newest.role == "admin"
    assert newest.address == "127.0.0.1"
    run = operator.schedules.GetRun(schedules.GetRunRequest(name=newest.result)).run
    assert operator.ended_task(run.task) is not None
    assert operator.audit.Verify(audit_pb2.VerifyRequest()).intact


@pytest.mark.usefixtures("embedded")
def test_what_people_ask_is_grouped_and_ranked(operator: Operator) -> None:
    operator.trigger("schedules/update-question-analytics-daily")
    request = insights_pb2.ListHotQuestionsRequest(days=14, page_size=5)
    questions = operator.insights.ListHotQuestions(request).questions
    counts = [question.count for question in questions]
    assert len(counts) == 5
    assert counts == sorted(counts, reverse=True)
    assert counts[0] >= 5
    assert all(question.title and question.keywords for question in questions)


def test_a_schedule_of_each_second_runs_by_itself(operator: Operator) -> None:
    name = "schedules/each-second"
    schedule = schedules.Schedule(
        name=name,
        task=schedules.TaskSpec(task_name="report_worker_health", queue="queues/health"),
        timing=schedules.Timing(interval=schedules.Interval(every={"seconds": 1})),
    )
    operator.schedules.CreateSchedule(schedules.CreateScheduleRequest(schedule=schedule))
    try:
        listing = schedules.ListRunsRequest(parent=name, states=[schedules.RUN_STATE_PUBLISHED])
        runs = eventually(
            lambda: len(found := operator.schedules.ListRuns(listing).runs) >= 3 and list(found)
        )
    finally:
        operator.schedules.DeleteSchedule(schedules.DeleteScheduleRequest(name=name))
    due = sorted(run.due_time.ToNanoseconds() for run in runs)
    assert {later - earlier for earlier, later in itertools.pairwise(due)} == {1_000_000_000}
    for run in runs:
        assert eventually(lambda run=run: operator.ended_task(run.task), 60)


def test_the_stream_shows_figures_and_a_task_as_it_goes(operator: Operator) -> None:
    stream = operator.monitoring.WatchEvents(
        monitoring_pb2.WatchEventsRequest(task_names=["cleanup_cache"]), timeout=60
    )
    first = next(stream)
    assert first.WhichOneof("event") == "metrics"
    assert first.metrics.online_workers == 2
    assert {queue.name for queue in first.metrics.queues} >= {"queues/ai_analysis", "queues/maintenance"}
    operator.trigger("schedules/cleanup-cache-daily")
    seen = []
    for answer in stream:
        if answer.WhichOneof("event") == "task":
            seen.append(answer.task.state)
            if answer.task.state == tasks_pb2.TASK_STATE_SUCCESS:
                break
    stream.cancel()
    assert seen[-3:] == [
        tasks_pb2.TASK_STATE_RECEIVED,
        tasks_pb2.TASK_STATE_STARTED,
        tasks_pb2.TASK_STATE_SUCCESS,
    ]


def test_the_same_is_seen_by_reflection_with_a_client_that_has_no_stubs(system: System) -> None:
    """buf curl knows nothing of the contracts but what the gateway reflects."""
    bearer = f"authorization: Bearer {system.token('admin')}"
    method = f"https://127.0.0.1:{system.port}/celeriac.monitor.v1.SystemService/GetStatus"
    command: list[str | Path] = [
        BUF,
        "curl",
        "--protocol",
        "grpc",
        "--cacert",
        system.state / "ca.pem",
        "-H",
        bearer,
    ]
    command += ["--reflect-header", bearer, "-d", "{}", method]

    def status() -> Any:
        answered = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert answered.returncode == 0, answered.stderr
        found = json.loads(answered.stdout)
        return found if found["health"] == "HEALTH_HEALTHY" else None

    components = {component["component"] for component in eventually(status)["components"]}
    others = {"database", "broker", "workers", "events", "tasks"}
    assert components == {"scheduler", "embedder", "monitor", "audit", "door"} | others
