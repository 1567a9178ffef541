"""Loops can be hurried; what is promised to clients, and what guards behind notices, is not."""

from __future__ import annotations

import dataclasses

import pytest

from services.audit import pace as audit
from services.embedder import pace as embedder
from services.kernel import pace as kernel
from services.monitor import pace as monitor
from services.scheduler import pace as scheduler

PACES = [kernel.Pace, scheduler.Pace, monitor.Pace, embedder.Pace, audit.Pace]


@pytest.mark.parametrize("kind", PACES, ids=lambda kind: kind.__module__)
def test_a_pace_is_multiplied_but_for_what_is_steady(kind: type[kernel.Pace]) -> None:
    usual = kind()
    hurried = usual.times(0.2)
    assert type(hurried) is kind
    changed = {
        field.name
        for field in dataclasses.fields(kind)
        if getattr(hurried, field.name) == pytest.approx(0.2 * getattr(usual, field.name))
    }
    steady = {
        field.name
        for field in dataclasses.fields(kind)
        if getattr(hurried, field.name) == getattr(usual, field.name)
    }
    assert changed | steady == {field.name for field in dataclasses.fields(kind)}
    assert changed >= {"outbox_retry", "config_retry"}
    assert steady >= {"outbox_look", "retention_sweep"}


def test_a_lease_outlives_several_renewals_at_any_pace() -> None:
    for factor in (1, 0.2, 0.01):
        pace = scheduler.Pace().times(factor)
        assert pace.lease > 3 * pace.lease_renewal
