"""The commands by which a worker is told what was revoked."""

from __future__ import annotations

from services.monitor.workers.revoked_tasks import commands
from services.monitor.workers.store_revoked_tasks import RevokedTask


def test_all_are_told_in_one_command_and_those_to_be_killed_in_one_for_each_signal() -> None:
    assert commands([]) == []
    held = [
        RevokedTask("a", False, "SIGTERM"),
        RevokedTask("b", True, "SIGKILL"),
        RevokedTask("c", False, "SIGTERM"),
        RevokedTask("d", True, "SIGTERM"),
        RevokedTask("e", True, "SIGKILL"),
    ]
    assert commands(held) == [
        {"task_id": ["a", "c"], "terminate": False, "signal": "SIGTERM"},
        {"task_id": ["b", "e"], "terminate": True, "signal": "SIGKILL"},
        {"task_id": ["d"], "terminate": True, "signal": "SIGTERM"},
    ]
