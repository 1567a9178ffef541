"""Three schedulers under fire: each due time is published exactly once, by the broker's own record."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.chaos.fire import SECONDS, Aftermath, identities

pytestmark = pytest.mark.timeout(SECONDS + 300)


def test_each_due_time_is_published_exactly_once_whatever_is_killed_frozen_cut_or_restarted(
    aftermath: Aftermath,
) -> None:
    wanted, published, told = identities(aftermath.expected), aftermath.published, aftermath.told
    doubled = [wanted.get(task, task) for task, count in Counter(published).items() if count > 1]
    missing = sorted(wanted[task] for task in wanted.keys() - set(published))
    unknown = set(published) - wanted.keys()
    assert (doubled, missing, unknown) == ([], [], set()), told
    history = aftermath.history.of(aftermath.expected)
    history.check(aftermath.expected, told)
    assert history.states() == {"published": len(wanted)}, told


def test_no_replica_ends_by_itself_and_all_end_when_they_are_asked_to(aftermath: Aftermath) -> None:
    assert aftermath.ended_by_themselves == [], aftermath.told
    # One that was started a moment ago dies of the signal itself.
    assert set(aftermath.codes) <= {0, -signal.SIGTERM}, aftermath.told
