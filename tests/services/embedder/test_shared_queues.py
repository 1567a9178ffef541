"""A worker of ours on a queue that workers of another application consume."""

from __future__ import annotations

from pathlib import Path

from services.embedder.bulk.shared_queues import fault_of_queues
from services.embedder.bulk.worker import EMBED_CHUNK
from tests.support import forked
from tests.support.celery_workers import running_worker
from tests.support.embedder_workers import MODULE
from tests.support.kept_logs import new_log
from tests.support.processes import environment_of, migrate
from tests.support.servers import temporary_valkey


def test_it_refuses_to_start_and_names_the_worker_and_the_queue(
    certificates: Path, database_url: str, tmp_path: Path
) -> None:
    with temporary_valkey() as broker, running_worker(broker, tmp_path, queues="celery,maintenance"):
        environment = environment_of("embedder", certificates, database_url, broker)
        migrate("embedder", environment)
        log = new_log("refused-worker")
        with log.open("ab") as output:
            ours = forked.start(MODULE, "work", env=environment, output=output, new_session=True)
        assert ours.wait(60) == 1
        assert "plain@test consumes the queue 'maintenance'" in log.read_text()
        assert "CELERIAC_QUEUE_PREFIX=celeriac." in log.read_text()


def test_workers_of_other_queues_are_no_obstacle_nor_is_a_worker_with_our_tasks(tmp_path: Path) -> None:
    with temporary_valkey() as broker, running_worker(broker, tmp_path, queues="celery"):
        url = f"redis://{broker.host}:{broker.port}/0"
        assert fault_of_queues(url, ["ai_analysis", "maintenance"], EMBED_CHUNK) == ""
        assert fault_of_queues(url, ["celery"], "add") == ""
        assert "plain@test" in fault_of_queues(url, ["celery"], EMBED_CHUNK)


def test_without_a_broker_a_worker_is_not_refused() -> None:
    assert fault_of_queues("redis://127.0.0.1:1/0", ["celery"], EMBED_CHUNK) == ""
