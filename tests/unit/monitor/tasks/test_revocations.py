"""What revoked a task, as the event tells it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.revocations import Revocation, revocation_in
from tests.support.events import Life


@pytest.mark.parametrize(
    "fields, how, signal",
    [
        ({"terminated": False, "signum": None, "expired": True}, Revocation.EXPIRED, ""),
        ({"terminated": False, "signum": None, "expired": False}, Revocation.REVOKED, ""),
        ({"terminated": True, "signum": 15, "expired": False}, Revocation.TERMINATED, "SIGTERM"),
        ({"terminated": True, "signum": "9", "expired": False}, Revocation.TERMINATED, "SIGKILL"),
        ({"terminated": True, "signum": "-9", "expired": False}, Revocation.TERMINATED, "SIGKILL"),
        ({"terminated": True, "signum": "SIGUSR1", "expired": False}, Revocation.TERMINATED, "SIGUSR1"),
        ({"terminated": True, "signum": 40, "expired": False}, Revocation.TERMINATED, "40"),
        ({"terminated": True, "signum": "0", "expired": False}, Revocation.TERMINATED, ""),
        ({"terminated": True, "signum": ["x"], "expired": False}, Revocation.TERMINATED, ""),
        ({"terminated": True, "signum": "rm -rf", "expired": False}, Revocation.TERMINATED, ""),
        ({}, None, ""),
        ({"terminated": "yes", "expired": 1}, None, ""),
    ],
)
def test_a_revocation_tells_what_it_was(fields: dict[str, Any], how: Revocation | None, signal: str) -> None:
    assert revocation_in(fields) == (how, signal)


def test_the_newest_revocation_counts_in_any_order() -> None:
    life = Life(1_790_000_000.0, "t")
    expired = {**life.revoked(), "terminated": False, "signum": None, "expired": True}
    events = [expired, life.received(), life.revoked()]
    for order in itertools.permutations(events):
        record = TaskRecord("t")
        for event in order:
            record.hear(event["type"], int(event["timestamp"] * 1e6 + 0.5), event)
        task = record.task_now()
        assert (task.revocation, task.termination_signal) == (Revocation.TERMINATED, "SIGTERM")
