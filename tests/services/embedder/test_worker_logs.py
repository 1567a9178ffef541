"""What Celery says of messages and tasks that fail: the worker's log names the task, and has no arguments."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.embedder_workers import Worker
from tests.support.processes import environment_of, migrate
from tests.support.secrets_in_logs import canary
from tests.support.servers import Valkey

NO_TASK = "shop.charge_card"


@pytest.fixture(scope="module")
def worker(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> Iterator[Worker]:
    valkey.flush()
    environment = environment_of("embedder", certificates, database_url, valkey, CELERY_LOG_LEVEL="DEBUG")
    migrate("embedder", environment)
    worker = Worker(environment)
    worker.start()
    yield worker
    worker.kill()


def lines_after(worker: Worker, before: int, words: str) -> list[dict[str, Any]]:
    """The worker's lines from the given one on, as soon as one of them has the words."""

    def found() -> list[dict[str, Any]]:
        whole = worker.log()[: worker.log().rfind("\n") + 1].splitlines()[before:]
        return [json.loads(line) for line in whole] if any(words in line for line in whole) else []

    lines: list[dict[str, Any]] = eventually(found)
    return lines


@pytest.mark.parametrize(
    ("task", "body", "message"),
    [
        (NO_TASK, '[["{0}"], {{"password": "{0}"}}, {{}}]', "Received unregistered task of type "),
        ("cleanup_cache", '{{"password": "{0}"', "Can't decode message body: "),
        (None, '{{"password": "{0}"}}', "Received and deleted unknown message."),
        ("rebuild_chat_vectors", '[[], {{"user_role": "{0}"}}, {{}}]', "Task rebuild_chat_vectors["),
        ("report_worker_health", '[["{0}"], {{"{0}": 1}}, {{}}]', "Task report_worker_health["),
    ],
    ids=["unknown task", "no JSON", "no task", "refused arguments", "wrong signature"],
)
def test_a_message_that_fails_is_logged_without_what_it_carries(
    worker: Worker, valkey: Valkey, task: str | None, body: str, message: str
) -> None:
    secret, task_id, before = canary(), str(uuid.uuid4()), len(worker.log().splitlines())
    headers = {"task": task, "id": task_id, "lang": "py", "argsrepr": secret} if task else {"other": secret}
    with kombu.Connection(f"redis://{valkey.host}:{valkey.port}/0") as connection:
        connection.Producer().publish(
            body.format(secret),
            routing_key="ai_analysis",
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
        )
    lines = lines_after(worker, before, message)
    assert secret not in json.dumps(lines)
    [line] = [line for line in lines if line.get("message", "").startswith(message)]
    if task in {NO_TASK, "rebuild_chat_vectors", "report_worker_health"}:
        assert (line["task"], line["task_id"]) == (task, task_id)
