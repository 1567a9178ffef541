"""Answers of workers are read whatever stands in them: any program can answer in a worker's place."""

from __future__ import annotations

from typing import Any

import pytest

from services.monitor.tasks.redaction import Arguments, Redaction
from services.monitor.workers.inspecting import readable
from services.monitor.workers.inspection import NotTold
from services.monitor.workers.told_setup import configuration_in, consumed_in, registered_in
from services.monitor.workers.told_stats import stats_in
from services.monitor.workers.told_tasks import active_in, reserved_in, scheduled_in

REDACTION = Redaction()
ODD: list[Any] = [None, 7, "text", {"a": 1}, [None, 3, "x", {}, []]]


@pytest.mark.parametrize("said", ODD, ids=repr)
def test_what_has_not_the_form_of_an_answer_is_passed_over(said: Any) -> None:
    assert stats_in(said) is None
    for read in (active_in, reserved_in, scheduled_in):
        if isinstance(said, list):
            assert read(said, REDACTION).count == 0
        else:
            with pytest.raises(NotTold):
                read(said, REDACTION)
    if not isinstance(said, list):
        for plain in (consumed_in, registered_in):
            with pytest.raises(NotTold):
                plain(said)
    assert stats_in({"pid": 1, "pool": said, "total": said, "rusage": said, "autoscaler": said}) is not None


def test_of_a_pool_that_was_grown_the_processes_count_not_what_it_was_started_with() -> None:
    pool = {
        "implementation": "celery.concurrency.prefork:TaskPool",
        "max-concurrency": 2,
        "processes": [11, 12, 13],
        "max-tasks-per-child": "N/A",
        "timeouts": [0, 30],
    }
    stats = stats_in({"pid": 10, "pool": pool, "prefetch_count": "N/A"})
    assert stats is not None and stats.pool is not None
    assert (stats.pool.kind, stats.pool.concurrency, stats.pool.prefetch) == ("prefork", 3, 0)
    assert (stats.pool.soft_time_limit, stats.pool.time_limit) == (None, 30)


def test_a_thousand_tasks_are_counted_and_the_first_hundred_shown() -> None:
    told: list[Any] = [{"id": f"t{n}", "name": "add", "args": [n], "kwargs": {}} for n in range(1000)]
    found = reserved_in(told, REDACTION)
    assert (found.count, len(found.values)) == (1000, 100)
    named = registered_in([f"task{n:04}" for n in range(1500)])
    assert (named.count, len(named.values), named.values[0]) == (1500, 1000, "task0000")


def test_those_with_a_time_come_by_their_time_and_long_arguments_are_cut() -> None:
    told = [
        {"eta": f"2026-12-0{day}T00:00:00+00:00", "request": {"id": f"on-{day}", "args": ["x" * 9000]}}
        for day in (3, 1, 2)
    ]
    found = scheduled_in(told, REDACTION)
    assert [task.id for task in found.values] == ["on-1", "on-2", "on-3"]
    assert len(found.values[0].args) <= 1000


def test_settings_are_without_secrets_also_where_arguments_of_tasks_are_shown_in_the_clear() -> None:
    said = {
        "broker_transport_options": {"master_name": "m", "sentinel_kwargs": {"password": "hunter2"}},
        "my_address": "amqp://user:hunter2@host//",
        "beat_schedule": {"nightly": {"task": "t", "args": ["hunter2"]}},
        "timezone": "Asia/Taipei",
        "mine": "臺北",
    }
    settings = configuration_in(said, Redaction(arguments=Arguments.CLEAR))
    assert "hunter2" not in str(settings)
    assert settings["timezone"] == '"Asia/Taipei"' and settings["mine"] == '"臺北"'
    assert settings["beat_schedule"] == '["nightly"]'


def test_half_of_a_surrogate_pair_in_an_answer_becomes_a_question_mark() -> None:
    assert readable({"a\ud800": ["b\udfff", 1]}) == {"a?": ["b?", 1]}
    same = {"a": ["b"]}
    assert readable(same) is same
