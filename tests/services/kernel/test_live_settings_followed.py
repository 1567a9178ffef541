"""A setting changed at the scheduler is in force in every other process, with none of them started anew."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import psutil
import pytest
from celeriac.embedder.v1 import embedding_pb2, embedding_pb2_grpc, messages_pb2, messages_pb2_grpc
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.embedder.bulk.worker import celery_app
from services.kernel.settings import KernelSettings
from tests.support.calls import Caller, eventually, refused
from tests.support.kept_logs import new_log
from tests.support.processes import ROOT, ServiceProcess, environment_of
from tests.support.servers import Valkey, create_migrated_database
from tests.support.sql import fetch_sync

BIGRAMS = "tests.support.bigram_embedder"
# Well below the interval of signs of life (10 s), at which a change would be found without a notice.
AT_ONCE = 5.0
TASKS, RUNS = "configs/monitor.tasks.retention", "configs/scheduler.runs.retention"
CHUNKS, WAITING = "configs/embedder.rebuild.chunk_characters", "configs/embedder.online.most_waiting_tokens"
LEVEL = "configs/logging.level"
DAY = 86_400


@dataclass
class System:
    """Scheduler, embedder with a worker, and monitor as processes, on one database."""

    database_url: str
    scheduler: ServiceProcess
    embedder: ServiceProcess
    monitor: ServiceProcess
    worker: subprocess.Popen[bytes]
    settings: KernelSettings
    token: str

    def put(self, name: str, **value: Any) -> int:
        """Sets a key; gives the revision."""
        with self.scheduler.channel() as channel:
            config = Caller(config_pb2_grpc.ConfigServiceStub(channel), self.token)
            request = pb.SetConfigRequest(name=name, value=pb.ConfigValue(**value))
            revision: int = config.SetConfig(request).config.revision
            return revision

    def reset(self, name: str) -> None:
        with self.scheduler.channel() as channel:
            config = Caller(config_pb2_grpc.ConfigServiceStub(channel), self.token)
            config.ResetConfig(pb.ResetConfigRequest(name=name))

    def sql(self, query: str, *values: Any) -> list[asyncpg.Record]:
        return fetch_sync(self.database_url, query, *values)

    def chunks_of_a_new_rebuild(self, through: str) -> int:
        """How many tasks a rebuild of everything is cut into: asked of the service, or of the worker."""
        if through == "service":
            with self.embedder.channel() as channel:
                messages = Caller(messages_pb2_grpc.MessageServiceStub(channel), self.token)
                request = messages_pb2.EmbedMessagesRequest(force_rebuild=True)
                operation = messages.EmbedMessages(request).operation.name
        else:
            app = celery_app(self.settings)
            sent = app.send_task("rebuild_chat_vectors", kwargs={"force_rebuild": True, "min_length": 1})
            operation = sent.get(timeout=30)["operation"]
            app.close()
        [row] = self.sql(
            "SELECT count(*) AS chunks FROM embedder_operation_chunks WHERE operation_id = $1::uuid",
            operation.removeprefix("operations/"),
        )
        done = "SELECT state FROM celery_operations WHERE id = $1::uuid AND state <> 'running'"
        # The next one is another operation only once this one has ended.
        eventually(lambda: self.sql(done, operation.removeprefix("operations/")))
        return int(row["chunks"])


@pytest.fixture(scope="module")
def running(
    certificates: Path,
    tokens: LocalIssuer,
    postgres_url: str,
    valkey: Valkey,
) -> Iterator[System]:
    valkey.flush()
    url = asyncio.run(create_migrated_database(postgres_url))

    def environment(service: str, component: str = "", **more: str) -> dict[str, str]:
        return environment_of(component or service, certificates, url, valkey, **more)

    scheduler = ServiceProcess("scheduler", certificates, environment("scheduler"))
    at = {"CELERIAC_SCHEDULER_ADDRESS": scheduler.address}
    embedder = ServiceProcess("embedder", certificates, environment("embedder", **at), BIGRAMS)
    monitor = ServiceProcess("monitor", certificates, environment("monitor", **at))
    services = [scheduler, embedder, monitor]
    with new_log("bigrams-worker").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", BIGRAMS, "work"],
            env=environment("embedder", "worker", **at),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for service_process in services:
            service_process.start()
        eventually(lambda: len(psutil.Process(worker.pid).children()) >= 2)
        settings = KernelSettings.model_validate(
            {name: value for name, value in environment("embedder").items() if name != "CELERIAC_LISTEN"}
        )
        token = tokens.mint("admin", subject="mei")
        yield System(url, scheduler, embedder, monitor, worker, settings, token)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        for service_process in services:
            service_process.stop()


@pytest.fixture(scope="module")
def chat(running: System) -> System:
    """With 4,000 characters of messages."""
    sent = [
        messages_pb2.Message(
            name=f"messages/{uuid.uuid4().hex}",
            conversation="conversations/c",
            role=messages_pb2.MESSAGE_ROLE_USER,
            text=f"question {number} ".ljust(200, "?"),
        )
        for number in range(20)
    ]
    with running.embedder.channel() as channel:
        stub = Caller(messages_pb2_grpc.MessageServiceStub(channel), running.token)
        stub.IngestMessages(iter([messages_pb2.IngestMessagesRequest(messages=sent)]))
    return running


@pytest.mark.parametrize("through", ["service", "worker"])
def test_a_rebuild_is_cut_as_the_setting_says_now(chat: System, through: str) -> None:
    chat.reset(CHUNKS)
    eventually(lambda: chat.chunks_of_a_new_rebuild(through) == 1)
    chat.put(CHUNKS, int_value=1000)
    eventually(lambda: chat.chunks_of_a_new_rebuild(through) >= 4, AT_ONCE)
    chat.reset(CHUNKS)
    eventually(lambda: chat.chunks_of_a_new_rebuild(through) == 1, AT_ONCE)


def test_what_may_wait_for_the_model_is_what_the_setting_says_now(running: System) -> None:
    credentials = grpc.access_token_call_credentials(running.token)
    # Each is a batch of its own, and keeps the model busy for three seconds.
    texts = [f"slow {number} ".ljust(512, "x") for number in range(4)]
    with running.embedder.channel() as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)

        def one_of_four_is_refused() -> bool:
            requests = [embedding_pb2.EmbedRequest(texts=[text]) for text in texts]
            calls = [stub.Embed.future(one, credentials=credentials, timeout=30) for one in requests]
            return grpc.StatusCode.RESOURCE_EXHAUSTED in {call.code() for call in calls}

        running.put(WAITING, int_value=1024)
        eventually(one_of_four_is_refused)
    running.reset(WAITING)


def test_tasks_are_kept_as_long_as_the_setting_says_now(running: System) -> None:
    add_task(running, "old", 2)
    add_task(running, "young", 0)
    running.put(TASKS, duration_value={"seconds": DAY})
    eventually(lambda: "old" not in tasks(running), AT_ONCE)
    assert "young" in tasks(running)


def test_runs_are_kept_as_long_as_the_setting_says_now(running: System) -> None:
    running.sql(
        "INSERT INTO celery_schedules (id, task, args_json, kwargs_json, queue, priority, headers, crontab,"
        " time_zone, description, labels, paused, pause_note)"
        " VALUES ('a', 't', '[]', '{}', 'q', 0, '{}', '0 0 1 1 *', 'UTC', '', '{}', true, '')"
    )
    running.sql(
        "INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason)"
        " SELECT 'a', now() - days * interval '1 day', 'skipped', 'due' FROM generate_series(0, 9) AS days"
    )
    runs = "SELECT due_at FROM celery_schedule_runs WHERE schedule_id = 'a'"
    running.put(RUNS, duration_value={"seconds": 5 * DAY - 3600})
    eventually(lambda: len(running.sql(runs)) == 5, AT_ONCE)


def test_the_log_level_is_what_the_setting_says_now(running: System) -> None:
    running.put(LEVEL, string_value="DEBUG")
    for service in (running.scheduler, running.embedder, running.monitor):
        # Each health check that `start` made is told at this level.
        with service.channel() as channel:
            eventually(lambda: probed(channel) and '"level": "debug"' in service.log(), AT_ONCE)  # noqa: B023
    running.reset(LEVEL)


def test_with_the_scheduler_killed_what_was_last_known_stays_in_force(chat: System) -> None:
    chat.put(CHUNKS, int_value=1000)
    for through in ("service", "worker"):
        eventually(lambda: chat.chunks_of_a_new_rebuild(through) >= 4, AT_ONCE)  # noqa: B023
    chat.scheduler.kill()
    eventually(lambda: "config.not_followed" in chat.embedder.log())
    for through in ("service", "worker"):
        assert chat.chunks_of_a_new_rebuild(through) >= 4
    chat.scheduler.start()
    chat.reset(CHUNKS)
    for through in ("service", "worker"):
        eventually(lambda: chat.chunks_of_a_new_rebuild(through) == 1)  # noqa: B023


def test_nothing_is_deleted_by_a_default_before_the_setting_is_known(running: System) -> None:
    """The monitor starts while the scheduler is away: 100 days were set, the default is 30."""
    running.put(TASKS, duration_value={"seconds": 100 * DAY})
    running.scheduler.kill()
    running.monitor.stop()
    before = running.monitor.log().count("config.not_followed")
    add_task(running, "within the setting", 40)
    add_task(running, "beyond it", 200)
    running.monitor.start()
    eventually(lambda: running.monitor.log().count("config.not_followed") > before)
    assert {"within the setting", "beyond it"} <= tasks(running), running.monitor.log()[-6000:]
    running.scheduler.start()
    eventually(lambda: "beyond it" not in tasks(running))
    assert "within the setting" in tasks(running)


def add_task(running: System, task_id: str, days: int) -> None:
    """A task that was last heard of so many days ago."""
    running.sql(
        "INSERT INTO celery_task_results_ext (id, heard_at, updated_at)"
        " SELECT $1, now() - age, now() - age FROM (SELECT $2 * interval '1 day' AS age) AS of_it",
        task_id,
        days,
    )


def tasks(running: System) -> set[str]:
    return {row["id"] for row in running.sql("SELECT id FROM celery_task_results_ext")}


def probed(channel: grpc.Channel) -> bool:
    """Asks for something that is logged at debug only."""
    health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    return True


def test_a_watch_is_not_for_everybody(running: System, tokens: LocalIssuer) -> None:
    with running.scheduler.channel() as channel:
        viewer = Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("viewer"))
        code, _ = refused(lambda request: next(viewer.WatchConfigs(request)), pb.WatchConfigsRequest())
    assert code is grpc.StatusCode.PERMISSION_DENIED
