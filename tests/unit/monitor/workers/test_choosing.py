"""Whom a command reaches: every process of a hostname, so one of two is not told without the other."""

from __future__ import annotations

import pytest
from celery import Celery

from services.kernel.errors import FailedPrecondition, NotFound, Unavailable
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.answers import Outcome
from services.monitor.workers.choosing import Choosing, Chosen
from services.monitor.workers.control import Control
from services.monitor.workers.workers import WorkerTable

ONE, OTHER, ALONE = WorkerName("w@shared", 1), WorkerName("w@shared", 2), WorkerName("w@alone", 3)


def choosing(*online: WorkerName) -> Choosing:
    table = WorkerTable()
    for name in online:
        table.hear("worker-online", 1, {"hostname": name.hostname, "pid": name.pid}, 1.0)
    return Choosing(Control(Celery("a"), table.there, 1.0), table)


def test_one_of_two_of_a_hostname_is_not_told_and_the_reply_names_the_other() -> None:
    able = choosing(ONE, OTHER, ALONE).named(Chosen([ONE, ALONE]))
    assert able.workers == [ALONE]
    (reply,) = able.left_out
    assert (reply.worker, reply.outcome) == (ONE, Outcome.NOT_SENT) and "w@shared~2" in reply.message
    alone = choosing(ONE, OTHER).named(Chosen([ONE]))
    with pytest.raises(FailedPrecondition, match="name both"):
        alone.refuse_if_none()


def test_both_are_told_if_both_are_named_and_each_once() -> None:
    able = choosing(ONE, OTHER, ALONE).named(Chosen([OTHER, ONE, OTHER, WorkerName("w@alone")]))
    assert able.workers == [OTHER, ONE, ALONE] and not able.left_out
    assert set(choosing(ONE, OTHER, ALONE).named(Chosen()).workers) == {ONE, OTHER, ALONE}


def test_a_worker_that_was_never_heard_of_is_not_found_and_all_of_none_is_unavailable() -> None:
    with pytest.raises(NotFound, match="nobody@nowhere"):
        choosing(ONE).named(Chosen([WorkerName("nobody@nowhere")]))
    with pytest.raises(Unavailable):
        choosing().named(Chosen())
