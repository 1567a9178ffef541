"""What a worker's words mean, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest

from services.monitor.tasks.names import WorkerName
from services.monitor.workers.answers import Outcome, read_answer
from services.monitor.workers.control import Reply, replies_of

FLAGGED = {"ok": "tasks {'a'} flagged as revoked"}
UNKNOWN = {"ok": "terminate: tasks unknown"}
ONE, OTHER, TWIN = WorkerName("one@h", 1), WorkerName("other@h", 2), WorkerName("one@h", 3)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (FLAGGED, Outcome.FLAGGED),
        (UNKNOWN, Outcome.UNKNOWN_TASK),
        ({"ok": "terminate: a"}, Outcome.DONE),
        ({"ok": "terminate: tasks unknown to none"}, Outcome.DONE),
        ({"ok": f"terminate: {'x' * 3000}"}, Outcome.DONE),
        ({"error": "NotImplementedError()"}, Outcome.FAILED),
        ({"ok": "something that no Celery says"}, Outcome.FAILED),
        ({"ok": None}, Outcome.FAILED),
        ({}, Outcome.FAILED),
        ("words", Outcome.FAILED),
        (None, Outcome.FAILED),
    ],
)
def test_an_answer_means_what_celery_means_by_it(said: Any, outcome: Outcome) -> None:
    found, words = read_answer(said)
    assert found is outcome
    assert len(words) <= 2000


@pytest.mark.parametrize(
    ("workers", "answers", "expected"),
    [
        ([ONE], {"one@h": [FLAGGED]}, [(ONE, Outcome.FLAGGED)]),
        ([ONE, OTHER], {"one@h": [FLAGGED]}, [(ONE, Outcome.FLAGGED), (OTHER, Outcome.NO_ANSWER)]),
        (
            [ONE, TWIN],
            {"one@h": [FLAGGED, UNKNOWN]},
            [(WorkerName("one@h"), Outcome.FLAGGED), (WorkerName("one@h"), Outcome.UNKNOWN_TASK)],
        ),
        (
            [ONE, TWIN],
            {"one@h": [UNKNOWN]},
            [(WorkerName("one@h"), Outcome.UNKNOWN_TASK), (WorkerName("one@h"), Outcome.NO_ANSWER)],
        ),
        (
            [ONE],
            {"one@h": [FLAGGED, UNKNOWN]},
            [(WorkerName("one@h"), Outcome.FLAGGED), (WorkerName("one@h"), Outcome.UNKNOWN_TASK)],
        ),
    ],
)
def test_no_answer_is_lost_and_none_is_given_to_a_worker_that_may_not_have_given_it(
    workers: list[WorkerName], answers: dict[str, Any], expected: list[tuple[WorkerName, Outcome]]
) -> None:
    found: list[Reply] = replies_of(workers, answers, "none")
    assert [(reply.worker, reply.outcome) for reply in found] == expected
