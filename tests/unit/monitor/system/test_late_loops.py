"""What the monitor says of a service whose background loops are late."""

from __future__ import annotations

import pytest

from services.monitor.system.checks import late_loops
from services.monitor.system.components import Health


@pytest.mark.parametrize("name", ["outcomes", "losses", "audit_outbox", "config"])
def test_a_service_that_does_not_reach_another_still_serves(name: str) -> None:
    found = late_loops([name])
    assert found is not None and found.health is Health.DEGRADED
    assert name in found.detail


@pytest.mark.parametrize("late", [["dispatch"], ["outcomes", "dispatch"], ["healing"]])
def test_a_loop_that_needs_no_other_service_makes_it_unhealthy(late: list[str]) -> None:
    found = late_loops(late)
    assert found is not None and found.health is Health.UNHEALTHY
    assert all(name in found.detail for name in late)


def test_no_late_loop_says_nothing() -> None:
    assert late_loops([]) is None
