"""Gaps that wait to be recorded, and the counts of workers that show one."""

from __future__ import annotations

from services.monitor.gaps.recording import Counts
from services.monitor.intake import seen_gaps
from services.monitor.intake.seen_gaps import GapCause, SeenGap, SeenGaps


def test_gaps_wait_in_their_order_and_hold_back_until_they_are_recorded() -> None:
    seen = SeenGaps()
    assert (seen.unwritten_since, seen.news.is_set()) == (None, False)
    gaps = [SeenGap(GapCause.RELAY_CUT, float(number), number + 0.5) for number in range(3)]
    for gap in gaps:
        seen.put(gap)
    assert seen.waiting() == gaps
    assert seen.unwritten_since is not None and seen.news.is_set()
    for _ in gaps:
        seen.recorded()
    assert seen.unwritten_since is None


def test_more_than_fit_are_joined_to_the_last() -> None:
    seen = SeenGaps()
    for number in range(seen_gaps.MOST + 5):
        seen.put(SeenGap(GapCause.RELAY_CUT, float(number), number + 0.5))
    waiting = seen.waiting()
    assert len(waiting) == seen_gaps.MOST
    assert (waiting[-1].since, waiting[-1].until) == (seen_gaps.MOST - 1, seen_gaps.MOST + 4.5)


def test_a_count_that_events_fall_short_of_at_two_looks_is_a_gap_told_once() -> None:
    counts = Counts(now=100.0)
    assert counts.look(0, 102.0) is None
    assert counts.look(3, 104.0) is None, "they may still be on their way"
    gap = counts.look(3, 106.0)
    assert gap == SeenGap(GapCause.WORKER_COUNT, 92.0, 106.0, 3)
    assert counts.told == 3
    assert counts.look(3, 108.0) is None
    assert counts.look(5, 110.0) is None
    more = counts.look(5, 112.0)
    assert more is not None and (more.missed, counts.told) == (2, 5)


def test_events_that_came_late_after_all_make_no_gap() -> None:
    counts = Counts(now=100.0)
    assert counts.look(3, 102.0) is None
    assert counts.look(0, 104.0) is None
    assert counts.look(0, 106.0) is None
    assert counts.told == 0
